"""Files that are complete or not there: written under a temporary name beside their place, then moved."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vlkit.errors import CheckpointError


def stage(path: Path, chunks: Iterable[bytes | memoryview]) -> Path:
    """Write `chunks` to a temporary file beside `path`, safely on disk; whoever calls moves it with `os.replace`."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def write_json(path: str | Path, data: Any) -> None:
    """Write `data` as indented JSON; the file that was there stays whole until the new one takes its place.

    Raises:
        CheckpointError: if the file cannot be written.
    """
    path = Path(path)
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with explained(path):
        os.replace(stage(path, [text.encode()]), path)  # noqa: PTH105
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make moves inside `folder` survive a power failure, where the system offers this."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Context in which a failing system call becomes a `CheckpointError` about `path`."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written: {error.strerror}",
            rule="what was saved there before stays as it was",
            remedy="check free space and permissions, or save elsewhere",
        ) from error
