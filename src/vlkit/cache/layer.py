"""What attention keeps of one layer: positions that many may share, its own, and the last ones as they came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vlkit.cache.store import Store
from vlkit.errors import ShapeError


class Codec:
    """How a tensor is kept: as it is. Others round it."""

    @property
    def name(self) -> str:
        """Says in files how tensors were kept."""
        return "exact"

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        """Tensors [B, ..., T, any width] that are kept of float[B, ..., T, width]."""
        return (x,)

    def decode(self, kept: Sequence[Tensor], widths: Sequence[int]) -> tuple[Tensor, ...]:
        """Tensors float[B, ..., S, width] from what was kept of all of them; `widths` are theirs."""
        return tuple(kept)


class Form(NamedTuple):
    """What is the same for all positions of a tensor [B, ..., S, width].

    Args:
        outer: sizes between samples and positions, such as heads.
        width: width of a vector.
        dtype: type of its numbers.
    """

    outer: tuple[int, ...]
    width: int
    dtype: torch.dtype

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> tuple[Form, ...]:
        """That of each tensor."""
        return tuple(cls(tuple(tensor.shape[1:-2]), tensor.shape[-1], tensor.dtype) for tensor in tensors)


@dataclass
class Shared:
    """Positions that other caches may hold too, so that nobody writes to them.

    Args:
        store: this cache's look at them.
        rows: which of its samples each sample goes on from; None: its own.
    """

    store: Store
    rows: Tensor | None

    def read(self, device: torch.device | None) -> tuple[Tensor, ...]:
        """The positions, sample by sample."""
        kept = self.store.read(device)
        if self.rows is None:
            return kept
        return tuple(tensor.index_select(0, self.rows.to(tensor.device)) for tensor in kept)


class LayerCache:
    """Tensors of one layer that grow along their second-to-last dimension, the positions.

    While gradients are recorded, every append copies and keeps tensors as they come, because the backward pass needs
    the earlier positions as they were; the next append without gradients puts them into the store.

    Args:
        new_store: makes the place where positions are kept.
        codec: how they are kept.
        exact: number of last positions that are kept as they came.
    """

    def __init__(self, new_store: Callable[[], Store] = Store, *, codec: Codec | None = None, exact: int = 0) -> None:
        self.codec, self._new_store, self._exact = codec or Codec(), new_store, exact
        self._shared: tuple[Shared, ...] = ()
        self._own = new_store()
        self._last: tuple[Tensor, ...] = ()
        self.forms: tuple[Form, ...] = ()
        """Of the tensors; empty before the first append."""

    @property
    def stores(self) -> tuple[Store, ...]:
        """Where the positions are kept, in their order; the last one grows."""
        return (*(shared.store for shared in self._shared), self._own)

    @property
    def length(self) -> int:
        """Positions S seen so far."""
        return sum(store.length for store in self.stores) + (self._last[0].shape[-2] if self._last else 0)

    @property
    def samples(self) -> int:
        """Samples B; 0 while there are no positions."""
        if self._last or self._own.length:
            return len(self._last[0] if self._last else self._own.buffers[0])
        if not self._shared:
            return 0
        rows = self._shared[0].rows
        return len(self._shared[0].store.buffers[0]) if rows is None else len(rows)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The positions seen so far, float[B, ..., S, width]: views if they are kept as they are in one place."""
        return self._read(None)

    @property
    def nbytes(self) -> int:
        """Bytes that are reserved, those of shared positions included."""
        return sum(store.nbytes for store in self.stores) + sum(t.numel() * t.element_size() for t in self._last)

    @property
    def shared_nbytes(self) -> int:
        """Bytes of positions that other caches may hold too."""
        return sum(shared.store.nbytes for shared in self._shared)

    def append(self, *new: Tensor) -> tuple[Tensor, ...]:
        """Add tensors float[B, ..., T, width]; returns all S positions, float[B, ..., S, width].

        Raises:
            ShapeError: if they are of another batch, shape or dtype than the positions so far.
        """
        self._require_like(new)
        last = _joined([self._last, new])
        count = last[0].shape[-2]
        settled = 0 if torch.is_grad_enabled() else max(count - self._exact, 0)
        if 0 < settled == count:
            self._own.append(self.encoded(last))
            last = ()
        elif settled:
            self._own.append(self.encoded([t[..., :settled, :] for t in last]))
            last = tuple(t[..., settled:, :].clone() for t in last)
        self._last = last
        return self._read(new[0].device)

    def crop(self, length: int) -> None:
        """Forget all positions from `length` on.

        Raises:
            ShapeError: if `length` is negative.
        """
        if length < 0:
            raise ShapeError(f"crop to {length} positions", rule="a length is 0 or more")
        for store in self.stores:
            store.crop(length)
            length -= store.length
        self._shared = tuple(shared for shared in self._shared if shared.store.length)
        self._last = tuple(tensor[..., :length, :] for tensor in self._last) if length else ()

    def reorder(self, rows: Tensor) -> None:
        """Keep the samples `rows`, int64[B'], in that order; repeats are allowed, and shared positions stay shared."""
        with torch.no_grad():
            self._own.select(rows)
        self._shared = tuple(Shared(shared.store, _chosen(shared.rows, rows)) for shared in self._shared)
        self._last = tuple(tensor.index_select(0, rows.to(tensor.device)) for tensor in self._last)

    def fork(self, other: LayerCache, rows: Tensor | None) -> None:
        """Let an empty layer go on from these positions, which both hold from now on, in one place.

        Args:
            other: the empty layer.
            rows: int64[B'], which sample each of its samples goes on from; None: its own.
        """
        if self._own.length:
            self._shared = (*self._shared, Shared(self._own, None))
            self._own = self._new_store()
        other.forms = self.forms
        other._shared = tuple(Shared(s.store.share(), s.rows) for s in self._shared)
        other._last = self._last
        if rows is not None:
            other.reorder(rows)

    def kept(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """All positions as the codec keeps them, and the last ones as they came."""
        return self._kept(None), self._last

    def keep(self, kept: Sequence[Tensor], last: Sequence[Tensor], *, forms: tuple[Form, ...]) -> None:
        """Fill an empty layer with what `kept` gave, of tensors of these forms."""
        self.forms = forms
        if kept:
            with torch.no_grad():
                self._own.append(kept)
        self._last = tuple(last)

    def encoded(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What the codec keeps of tensors float[B, ..., T, width]."""
        return tuple(part for tensor in tensors for part in self.codec.encode(tensor))

    def _kept(self, device: torch.device | None) -> tuple[Tensor, ...]:
        pieces = [shared.read(device) for shared in self._shared]
        return _joined([*pieces, self._own.read(device) if self._own.length else ()])

    def _read(self, device: torch.device | None) -> tuple[Tensor, ...]:
        kept = self._kept(device)
        decoded = self.codec.decode(kept, [form.width for form in self.forms]) if kept else ()
        return _joined([decoded, self._last])

    def _require_like(self, new: Sequence[Tensor]) -> None:
        forms = Form.of(new)
        if self.length and (forms != self.forms or any(len(tensor) != self.samples for tensor in new)):
            cached = [[str(form.dtype), self.samples, *form.outer, "T", form.width] for form in self.forms]
            raise ShapeError(
                f"{[[str(tensor.dtype), *tensor.shape] for tensor in new]} for a cache of {cached}",
                rule="new positions have the samples, shape and dtype of those before",
                remedy="go on with the cache's own model and batch; cache.reorder chooses samples",
            )
        self.forms = forms


def _joined(pieces: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
    """Tensors one after the other along their positions, without a copy if there is one piece."""
    filled = [tuple(piece) for piece in pieces if piece]
    if len(filled) < 2:
        return filled[0] if filled else ()
    return tuple(torch.cat(tensors, dim=-2) for tensors in zip(*filled, strict=True))


def _chosen(before: Tensor | None, rows: Tensor) -> Tensor:
    return rows if before is None else before.to(rows.device)[rows]
