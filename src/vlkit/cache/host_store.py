"""Positions at home in host memory, with a working copy on the device while its layer runs there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from vlkit.cache.store import Store, empty, in_blocks
from vlkit.cache.transfer import Fetched, Leaving, Transfer


class HostStore(Store):
    """Store in host memory, pinned for tensors from CUDA.

    Between `fetch` and `drop` it is read on the device, from a copy; what is appended goes to both. Where the host
    computes, there is no copy.
    """

    def __init__(self) -> None:
        super().__init__()
        self._transfer: Transfer | None = None
        self._fetched = Fetched(())
        self._leaving: list[Leaving] = []

    @property
    def is_fetched(self) -> bool:
        """Whether it is read on the device."""
        return self._transfer is not None

    @property
    def device_nbytes(self) -> int:
        """Bytes of the copy on the device."""
        return sum(tensor.nbytes for tensor in self._fetched.tensors)

    def fetch(self, transfer: Transfer | None, *, arriving: int = 0) -> None:
        """Begin to copy the positions to the device, with room for those that arrive.

        Args:
            transfer: how they come there; None: the host computes.
            arriving: positions that will be appended before `drop`.
        """
        if transfer is None or self.is_fetched:
            return
        self._settle()
        if self.length:
            if self.length + arriving > self.capacity:
                self._grow(self.buffers, in_blocks(self.length + arriving))
            self._fetched = transfer.fetch(self.buffers)
        self._transfer = transfer

    def wait(self) -> None:
        """Let the computation that follows wait for the copy."""
        if self._transfer is not None:
            self._transfer.wait(self._fetched)

    def drop(self) -> None:
        """Give up the copy on the device; the host has all of it."""
        self._transfer, self._fetched = None, Fetched((), self._fetched.ready)

    def append(self, new: Sequence[Tensor]) -> None:
        self._settle()
        if self._transfer is not None:
            self._append_to_copies(new, self._transfer.device)
        super().append(new)

    def read(self, device: torch.device | None = None) -> tuple[Tensor, ...]:
        if self._fetched.tensors and self.is_fetched:
            return tuple(copy[..., : self.length, :] for copy in self._fetched.tensors)
        self._settle()
        return super().read(device)

    def select(self, rows: Tensor) -> None:
        self._settle()
        if self._fetched.ready is not None:
            self._fetched.ready.synchronize()
        self.drop()
        super().select(rows)

    def share(self) -> Self:
        self._settle()
        look = super().share()
        look._leaving = []
        look.drop()
        return look

    def _append_to_copies(self, new: Sequence[Tensor], device: torch.device) -> None:
        start, stop = self.length, self.length + new[0].shape[-2]
        before = copies = self._fetched.tensors
        if not copies or copies[0].shape[-2] < stop:
            copies = tuple(empty((*t.shape[:-2], in_blocks(stop), t.shape[-1]), t, device=device) for t in new)
            for old, grown in zip(before, copies):
                grown[..., :start, :] = old[..., :start, :]
        for tensor, copy in zip(new, copies, strict=True):
            copy[..., start:stop, :] = tensor
        self._fetched.tensors = copies

    def _settle(self) -> None:
        """Put what has left the device in its place; there is one such append at most."""
        for leaving in self._leaving:
            leaving.settle()
        self._leaving.clear()

    def _grow(self, like: Sequence[Tensor], capacity: int) -> None:
        self._settle()
        super()._grow(like, capacity)

    def _allocate(self, wanted: Sequence[tuple[tuple[int, ...], Tensor]]) -> tuple[Tensor, ...]:
        host = torch.device("cpu")
        return tuple(empty(shape, like, device=host, pinned=like.is_cuda or like.is_pinned()) for shape, like in wanted)

    def _write(self, tensor: Tensor, place: Tensor) -> None:
        if self._transfer is None:
            place.copy_(tensor)
        else:
            self._leaving.append(self._transfer.send(tensor, place))
