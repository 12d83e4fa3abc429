"""Memory that is taken once and stays in its place, as compiled steps and CUDA graphs want it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from vlkit.cache.base import CachePolicy, CachePolicyConfig, KVCache, cache_policies
from vlkit.cache.layer import LayerCache
from vlkit.cache.store import Store, in_blocks, require_capacity
from vlkit.errors import InputError


class StaticConfig(CachePolicyConfig):
    """Buffers of a fixed number of positions."""

    type: Literal["static"] = "static"
    """Tag of the policy."""
    capacity: int = Field(default=4096, ge=1, le=2**30)
    """Most positions; memory is taken for all of them, in whole blocks of 256, at the first."""

    @property
    def most_positions(self) -> int | None:
        return self.capacity

    def reserved(self, positions: int) -> int:
        return in_blocks(self.capacity) if positions else 0


class FixedStore(Store):
    """Store whose memory is taken at the first append and stays where it is while the samples are as many."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._most = capacity

    def append(self, new: Sequence[Tensor]) -> None:
        require_capacity(self.length + new[0].shape[-2], self._most)
        super().append(new)

    def _grow(self, like: Sequence[Tensor], capacity: int) -> None:
        super()._grow(like, in_blocks(self._most))


class StaticLayer(LayerCache):
    """Layer whose positions are all in one buffer; a fork copies them, since it needs a buffer of its own.

    Args:
        new_store: makes the place where positions are kept.
        capacity: most positions.
    """

    def __init__(self, new_store: Callable[[], Store], *, capacity: int) -> None:
        super().__init__(new_store)
        self._capacity = capacity

    @property
    def buffers(self) -> tuple[Tensor, ...]:
        """Whole buffers float[B, ..., capacity, width], in whole blocks of positions; none before the first append.

        A compiled step writes position `Static.length_tensor` of each and masks what comes after it.
        """
        return self._own.buffers

    def append(self, *new: Tensor) -> tuple[Tensor, ...]:
        require_capacity(self.length + new[0].shape[-2], self._capacity)
        return super().append(*new)

    def fork(self, other: LayerCache, rows: Tensor | None) -> None:
        other.keep(*self.kept(), forms=self.forms)
        if rows is not None:
            other.reorder(rows)

    def advance(self, count: int) -> None:
        """Count positions that a compiled step has written into the buffers.

        Raises:
            ContextLengthError: if they are more than the capacity.
            InputError: if the buffers do not hold the positions before them.
        """
        require_capacity(self.length + count, self._capacity)
        if not self.buffers or self.length != self._own.length:
            raise InputError(
                "a compiled step before the positions are in the buffers",
                rule="passes without gradients make and fill them",
                remedy="prefill under torch.no_grad() first",
            )
        self._own.length += count


@cache_policies.register(StaticConfig)
class Static(CachePolicy):
    """Nothing moves: what eager code reads are views of the filled part, with the numbers of `resident`."""

    config: StaticConfig

    def __init__(self, config: StaticConfig) -> None:
        super().__init__(config)
        self._length: Tensor | None = None

    def new_store(self) -> Store:
        return FixedStore(self.config.capacity)

    def new_layer(self) -> LayerCache:
        return StaticLayer(self.new_store, capacity=self.config.capacity)

    def length_tensor(self, cache: KVCache) -> Tensor:
        """The cache's length as int64[] on its device, always in the same memory."""
        if self._length is None or self._length.device != cache.device:
            with torch.inference_mode(False):
                self._length = torch.zeros((), dtype=torch.int64, device=cache.device)
        return self._length.fill_(cache.length)
