"""Where the tensors of one layer are kept: in the memory that they come in, which grows in blocks."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from vlkit.errors import ContextLengthError

BLOCK = 256
"""Positions that memory grows by."""


def in_blocks(positions: int) -> int:
    """A number of positions, rounded up to whole blocks."""
    return -(-positions // BLOCK) * BLOCK


def require_capacity(positions: int, capacity: int) -> None:
    """Refuse more positions than fit.

    Raises:
        ContextLengthError: naming both numbers.
    """
    if positions > capacity:
        raise ContextLengthError(
            f"{positions} positions in a static cache",
            rule=f"its capacity is {capacity}",
            remedy=f'cache={{"type": "static", "capacity": {positions}}}, or "resident", which grows',
        )


class Store:
    """Tensors [B, ..., S, width] of one layer that grow along their positions.

    Memory is taken in blocks of 256 positions, so that appending a token copies only that token.
    """

    def __init__(self) -> None:
        self.length = 0
        self.buffers: tuple[Tensor, ...] = ()

    @property
    def capacity(self) -> int:
        """Positions that are reserved."""
        return self.buffers[0].shape[-2] if self.buffers else 0

    @property
    def nbytes(self) -> int:
        """Bytes that are reserved."""
        return sum(buffer.numel() * buffer.element_size() for buffer in self.buffers)

    def append(self, new: Sequence[Tensor]) -> None:
        """Add tensors [B, ..., T, width]; if that fails, what was there before is as it was."""
        start, stop = self.length, self.length + new[0].shape[-2]
        if stop > self.capacity or not self._fits(new):
            self._grow(new, in_blocks(stop))
        for tensor, buffer in zip(new, self.buffers, strict=True):
            self._write(tensor, buffer[..., start:stop, :])
        self.length = stop

    def read(self, device: torch.device | None = None) -> tuple[Tensor, ...]:
        """The positions so far, [B, ..., S, width]: views, or copies if they are wanted on another device."""
        views = tuple(buffer[..., : self.length, :] for buffer in self.buffers)
        return views if device is None else tuple(view.to(device) for view in views)

    def crop(self, length: int) -> None:
        """Forget all positions from `length` on."""
        self.length = min(self.length, length)

    def select(self, rows: Tensor) -> None:
        """Keep the samples `rows`, int64[B'], in that order; in place if there are as many as before."""
        if not self.length:
            return
        old, rows = self.buffers, rows.to(self.buffers[0].device)
        chosen = old if len(rows) == len(old[0]) else self._allocate([((len(rows), *b.shape[1:]), b) for b in old])
        for before, after in zip(old, chosen, strict=True):
            for start in range(0, self.length, BLOCK):
                block = slice(start, min(start + BLOCK, self.length))
                after[..., block, :] = before[..., block, :].index_select(0, rows)
        self.buffers = chosen

    def share(self) -> Self:
        """A second look at the positions so far, to which neither side may append from now on."""
        return copy.copy(self)

    def _fits(self, new: Sequence[Tensor]) -> bool:
        forms = [[(t.shape[:-2], t.shape[-1], t.dtype) for t in tensors] for tensors in (self.buffers, new)]
        return forms[0] == forms[1]

    def _grow(self, like: Sequence[Tensor], capacity: int) -> None:
        old = self.buffers
        grown = self._allocate([((*t.shape[:-2], capacity, t.shape[-1]), t) for t in like])
        if self.length:
            for before, after in zip(old, grown, strict=True):
                after[..., : self.length, :] = before[..., : self.length, :]
        self.buffers = grown

    def _allocate(self, wanted: Sequence[tuple[tuple[int, ...], Tensor]]) -> tuple[Tensor, ...]:
        """Memory of these shapes, each with a tensor that shows dtype and device."""
        return tuple(empty(shape, like, device=like.device) for shape, like in wanted)

    def _write(self, tensor: Tensor, place: Tensor) -> None:
        place.copy_(tensor)


def empty(shape: Sequence[int], like: Tensor, *, device: torch.device, pinned: bool = False) -> Tensor:
    """Memory that can be written to in every mode, so made outside of inference mode."""
    with torch.inference_mode(False):
        return torch.empty(*shape, dtype=like.dtype, device=device, pin_memory=pinned)
