"""Folders that are there as a whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from vlkit.files import explained, sync_folder

UNFINISHED = ".tmp"


def write_whole(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder beside its place, have it filled, and move it there when all of it is on the disk.

    A folder that is there already is replaced.

    Args:
        folder: where it goes.
        fill: writes the files into the folder that it is given.

    Raises:
        CheckpointError: if it cannot be written.
    """
    temporary, old = (folder.with_name(f".{folder.name}.{secrets.token_hex(4)}{UNFINISHED}") for _ in range(2))
    with explained(folder):
        temporary.mkdir(parents=True)
        try:
            fill(temporary)
            _sync(temporary)
            if folder.exists():
                folder.rename(old)
            temporary.rename(folder)
            sync_folder(folder.parent)
        finally:
            for rest in (temporary, old):
                shutil.rmtree(rest, ignore_errors=True)


def remove_whole(folder: Path) -> None:
    """Take a folder away, its name first, so that no half of it is ever taken for the whole."""
    hidden = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}{UNFINISHED}")
    folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def remove_unfinished(parent: Path) -> None:
    """Take away what a process that was killed has left."""
    for rest in parent.glob(f".*{UNFINISHED}"):
        if rest.is_dir() and not rest.is_symlink():
            shutil.rmtree(rest, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            sync_folder(path)
        else:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
