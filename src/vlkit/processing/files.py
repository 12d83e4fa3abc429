"""Small text files of a checkpoint folder: read up to a size limit, written so that nobody sees half a file."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

from vlkit.errors import CheckpointError, InputError

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


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file; until it is complete, what was there before stays.

    Raises:
        InputError: if the folder cannot be written to.
    """
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    data = text.encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", remedy="choose another folder") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a mapping as JSON, keys sorted."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, sort_keys=True) + "\n")
