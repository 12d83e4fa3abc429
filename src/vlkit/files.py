"""Files of a checkpoint folder: texts read up to a size limit, and writing that leaves a whole file or the old one."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vlkit.errors import CheckpointError

JSON_LIMIT = 16 * 2**20
"""Most bytes that a settings file may have."""


def read_text(path: Path, *, limit: int = JSON_LIMIT) -> str:
    """Text of a UTF-8 file.

    Raises:
        CheckpointError: if the file is missing, not readable, longer than `limit` bytes, or no UTF-8.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is not there", remedy="complete the folder, or check the path")
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise CheckpointError(f"{path} is longer than {limit} bytes", rule="settings files are small")
        return data.decode("utf-8")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is no UTF-8 text: {error}") from None


def read_json(path: Path) -> dict[str, Any]:
    """Mapping in a JSON file.

    Raises:
        CheckpointError: if the file cannot be read, is malformed, or holds no mapping.
    """
    try:
        data = json.loads(read_text(path))
    except CheckpointError:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is malformed: {error}", remedy="correct the file at that place") from None
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} holds a {type(data).__name__}", rule="the file holds one mapping")
    return data


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


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file, in a folder that is made if needed; the file that was there stays until the new one is whole.

    Raises:
        CheckpointError: if the file cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file, as `write_text` does."""
    path = Path(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = stage(path, [data])
        try:
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_json(path: str | Path, data: Any) -> None:
    """Write `data` as indented JSON, as `write_text` does."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


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
