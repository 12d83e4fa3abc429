"""Layers live in host memory; a few at a time come to the device that computes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vlkit.cache.base import CachePolicy, CachePolicyConfig, KVCache, cache_policies
from vlkit.cache.host_store import HostStore
from vlkit.cache.store import Store
from vlkit.cache.window import Window


class OffloadConfig(CachePolicyConfig):
    """Layers live in host memory, pinned for CUDA; the device holds the one that computes and the next ones."""

    type: Literal["offload"] = "offload"
    """Tag of the policy."""
    on_device: int = Field(default=2, ge=1, le=2**10)
    """Most layers on the device at once: the one that computes, and those that are fetched meanwhile."""

    def device_layers(self, layers: int) -> int:
        return min(self.on_device, layers)


@cache_policies.register(OffloadConfig)
class Offload(CachePolicy):
    """While a layer computes, the next ones are fetched; what it appends goes home at once."""

    config: OffloadConfig

    def __init__(self, config: OffloadConfig) -> None:
        super().__init__(config)
        self._window = Window()

    def new_store(self) -> Store:
        return HostStore()

    def before_layer(self, cache: KVCache, index: int) -> None:
        self._window.slide(cache, index, size=self.config.on_device)

    def after_layer(self, cache: KVCache, index: int) -> None:
        self._window.keep(cache, range(index + 1, index + self.config.on_device))
