"""Positions in mapped files, so that a context may be far larger than memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from vlkit.cache.growing_file import GrowingFile
from vlkit.cache.host_store import HostStore
from vlkit.cache.transfer import Transfer

ROOM = 1 << 15
"""Positions that a file with several planes has room for, at least."""


class FileStore(HostStore):
    """Store in files without names, one for each tensor of the layer.

    A file with one plane, such as the latents of one sample, grows without end and without a copy; one with more
    (heads, samples) up to 32,768 positions, then it is copied to a file with four times the room.

    Args:
        folder: where the files lie.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._files: tuple[GrowingFile, ...] = ()

    def fetch(self, transfer: Transfer | None, *, arriving: int = 0) -> None:
        if self.length:
            for file in self._files:
                file.expect(self.length)
        super().fetch(transfer, arriving=arriving)

    def drop(self) -> None:
        super().drop()
        for file in self._files:
            file.forget()

    def select(self, rows: Tensor) -> None:
        with self._files_kept_on_error():
            super().select(rows)

    def _grow(self, like: Sequence[Tensor], capacity: int) -> None:
        if self.length and all(file.has_room(capacity) for file in self._files):
            self._settle()
            self.buffers = tuple(file.tensor(capacity) for file in self._files)
        else:
            with self._files_kept_on_error():
                super()._grow(like, capacity)

    def _allocate(self, wanted: Sequence[tuple[tuple[int, ...], Tensor]]) -> tuple[Tensor, ...]:
        files, tensors = [], []
        for shape, like in wanted:
            room = max(ROOM, 4 * shape[-2])
            file = GrowingFile(self.folder, (*shape[:-2], room, shape[-1]), like.dtype)
            tensors.append(file.tensor(shape[-2]))
            files.append(file)
        self._files = tuple(files)
        return tuple(tensors)

    @contextmanager
    def _files_kept_on_error(self) -> Iterator[None]:
        files = self._files
        try:
            yield
        except BaseException:
            self._files = files
            raise
