"""The layers of a cache that are on the device while the others are on the host."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from vlkit.cache.host_store import HostStore
from vlkit.cache.transfer import Transfer, transfer_to

if TYPE_CHECKING:
    from vlkit.cache.base import KVCache


class Window:
    """Brings layers to the device and gives them up again.

    It starts from what is there, not from what should be: what an error left on the device goes in the next pass.
    """

    def __init__(self) -> None:
        self._transfer: Transfer | None = None
        self._held: set[int] = set()

    def slide(self, cache: KVCache, index: int, *, size: int) -> None:
        """Bring a layer that is about to run, and begin to bring those after it, `size` in all."""
        near = range(index, min(index + size, len(cache.layers)))
        self.keep(cache, near)
        self.fetch(cache, near[:1])
        self.wait(cache, index)
        self.fetch(cache, near[1:])

    def fetch(self, cache: KVCache, layers: Collection[int]) -> None:
        """Begin to bring layers to the device, with room for what the pass appends."""
        if self._transfer is None or self._transfer.device != cache.device:
            self._transfer = transfer_to(cache.device)
        self._held.update(layers)
        for index in layers:
            *shared, own = _stores(cache, index)
            for store in shared:
                store.fetch(self._transfer)
            own.fetch(self._transfer, arriving=cache.arriving)

    def wait(self, cache: KVCache, index: int) -> None:
        """Let the computation that follows wait for a layer."""
        for store in _stores(cache, index):
            store.wait()

    def keep(self, cache: KVCache, layers: Collection[int]) -> None:
        """Give up all layers but these."""
        for index in self._held.difference(layers):
            for store in _stores(cache, index):
                store.drop()
        self._held.intersection_update(layers)


def _stores(cache: KVCache, index: int) -> list[HostStore]:
    return [store for store in cache.layers[index].stores if isinstance(store, HostStore)]
