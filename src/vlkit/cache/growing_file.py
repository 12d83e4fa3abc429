"""A file without a name that a tensor lives in: it grows in place, and is gone with its process, however that ends."""

from __future__ import annotations

import errno
import math
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from vlkit.errors import ContextLengthError, InputError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
ZEROS = bytes(1 << 20)


class GrowingFile:
    """A tensor [..., S, width] in a file of its own, in a folder that must exist.

    The file has no name from the beginning where the system offers that, else it loses its name at once or is deleted
    on closing; only its owner can read it. Space is reserved before it is used, so that a full disk is an error and
    not a crash. All that comes before the positions are planes; each has room to grow in, which takes no space on
    the disk before it is used.

    Args:
        folder: where the file lies.
        shape: the tensor's shape, with the number of positions that each plane has room for; a single plane needs none.
        dtype: its type.

    Raises:
        InputError: if the folder is not there, cannot be written to, or its file system cannot map files.
        ContextLengthError: if the disk is full.
    """

    def __init__(self, folder: Path, shape: Sequence[int], dtype: torch.dtype) -> None:
        self.folder, self.dtype = folder, dtype
        self.outer, self.room, self.width = tuple(shape[:-2]), shape[-2], shape[-1]
        self.planes, self.row = math.prod(self.outer), self.width * dtype.itemsize
        self._reserved = 0
        with explained(folder):
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
            weakref.finalize(self, self._file.close)
            if self.planes > 1:
                self._file.truncate(self.planes * self.room * self.row)

    def has_room(self, capacity: int) -> bool:
        """Whether the tensor can grow to this many positions without being moved."""
        return self.planes == 1 or capacity <= self.room

    def tensor(self, capacity: int) -> Tensor:
        """The tensor with this many positions; it shares memory with the shorter ones that were given out before."""
        with explained(self.folder):
            for plane in range(self.planes if capacity > self._reserved else 0):
                start = (plane * self.room + self._reserved) * self.row
                self._reserve(start, (capacity - self._reserved) * self.row)
            self._reserved = max(self._reserved, capacity)
            room = capacity if self.planes == 1 else self.room
            self._map = mmap.mmap(self._file.fileno(), self.planes * room * self.row)
        with torch.inference_mode(False):  # else it could not be written to in other modes
            flat = torch.frombuffer(self._map, dtype=self.dtype)
            return flat.view(*self.outer, room, self.width)[..., :capacity, :]

    def expect(self, length: int) -> None:
        """Let the system begin to read the first `length` positions, where it takes such advice."""
        if hasattr(mmap, "MADV_WILLNEED"):
            for plane in range(self.planes):
                start = plane * self.room * self.row if self.planes > 1 else 0
                page = start // mmap.PAGESIZE * mmap.PAGESIZE
                self._map.madvise(mmap.MADV_WILLNEED, page, start - page + length * self.row)

    def forget(self) -> None:
        """Take the file's pages out of the process's memory, where the system does so on advice; nothing is lost."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _reserve(self, start: int, nbytes: int) -> None:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._file.fileno(), start, nbytes)
            return
        self._file.seek(start)
        while nbytes > 0:
            nbytes -= self._file.write(ZEROS[: min(nbytes, len(ZEROS))]) or 0


def usable_folder(folder: Path | None) -> Path:
    """The absolute path of a folder in which a file could be made; None: the folder for temporary files.

    Raises:
        InputError: if it is not there or cannot be written to.
    """
    with explained(folder or Path("the folder for temporary files")):
        found = Path(folder or tempfile.gettempdir()).absolute()
        tempfile.TemporaryFile(dir=found).close()
    return found


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Context in which a failing system call becomes an error about the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise ContextLengthError(
                f"the cache cannot grow in {folder}: {error.strerror}",
                rule="a cache on disk is as long as there is space for it",
                remedy="free space, choose another folder, or quantize what is kept",
            ) from error
        raise InputError(
            f"the cache cannot use {folder}: {error.strerror}",
            rule="it is a folder that exists, that may be written to, and whose files can be mapped into memory",
            remedy="choose another folder",
        ) from error
