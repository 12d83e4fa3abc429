"""The cache leaves the device between the chunks of a prefill, and only there."""

from __future__ import annotations

from typing import Literal

from vlkit.cache.base import CachePolicy, CachePolicyConfig, KVCache, cache_policies
from vlkit.cache.host_store import HostStore
from vlkit.cache.store import Store
from vlkit.cache.window import Window


class ChunkOffloadConfig(CachePolicyConfig):
    """The whole cache is on the device during a pass; after one over several positions it rests in host memory."""

    type: Literal["chunk_offload"] = "chunk_offload"
    """Tag of the policy."""


@cache_policies.register(ChunkOffloadConfig)
class ChunkOffload(CachePolicy):
    """All layers come before a pass and go after it; steps of one token follow each other too fast, they stay then."""

    def __init__(self, config: CachePolicyConfig) -> None:
        super().__init__(config)
        self._window = Window()

    def new_store(self) -> Store:
        return HostStore()

    def before_layer(self, cache: KVCache, index: int) -> None:
        if index == 0:
            self._window.fetch(cache, range(len(cache.layers)))
        self._window.wait(cache, index)

    def after_layer(self, cache: KVCache, index: int) -> None:
        if index == len(cache.layers) - 1 and cache.arriving != 1:
            self._window.keep(cache, ())
