"""Bytes of a file to tensors: mapped where they can be used as they are, else read straight to their place."""

from __future__ import annotations

import mmap
from io import FileIO

import torch
from torch import Tensor

from vlkit.checkpoint.header import Entry, WeightFile
from vlkit.errors import CheckpointError

CHUNK_BYTES = 1 << 24


class MappedFile:
    """A file in memory, privately: read when touched, and changes in place stay in memory.

    Args:
        file: the file; a tensor from it keeps it open.

    Raises:
        CheckpointError: if the file has changed since its header was read, or its file system cannot map it.
    """

    def __init__(self, file: WeightFile) -> None:
        with file.open() as opened:
            try:
                self._bytes = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
            except OSError as error:
                raise CheckpointError(
                    f"{file.path} cannot be mapped: {error.strerror}",
                    remedy="copy the checkpoint to a local disk, or load it to another dtype or device",
                ) from error

    @staticmethod
    def can_hold(entry: Entry) -> bool:
        """Whether the entry can be used in place: it is not empty and aligned to its dtype."""
        return entry.nbytes > 0 and entry.start % entry.dtype.itemsize == 0

    def tensor(self, entry: Entry) -> Tensor:
        """The entry without a copy, as a tensor whose storage is just its own bytes."""
        count = entry.nbytes // entry.dtype.itemsize
        return torch.frombuffer(self._bytes, dtype=entry.dtype, count=count, offset=entry.start).view(entry.shape)


def read_into(entry: Entry, flat: Tensor) -> None:
    """Fill a contiguous tensor with the entry's numbers; another dtype or device costs one chunk of memory.

    Raises:
        CheckpointError: if the file has changed since its header was read, or ends too early.
    """
    with entry.file.open() as file:
        file.seek(entry.start)
        if flat.dtype == entry.dtype and flat.device.type == "cpu":
            _read_bytes(file, entry, flat.view(torch.uint8))
            return
        size = min(CHUNK_BYTES, entry.nbytes)
        staging = torch.empty(size, dtype=torch.uint8, device="cpu", pin_memory=flat.device.type == "cuda")
        for piece in flat.split(CHUNK_BYTES // entry.dtype.itemsize):
            staged = staging[: piece.numel() * entry.dtype.itemsize]
            _read_bytes(file, entry, staged)
            piece.copy_(staged.view(entry.dtype))


def _read_bytes(file: FileIO, entry: Entry, target: Tensor) -> None:
    left = target.numpy().data
    while left:
        count = file.readinto(left)
        if not count:
            raise CheckpointError(f"{entry.file.path} ended while it was read", remedy="fetch the file again")
        left = left[count:]
