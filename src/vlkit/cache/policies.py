"""Policies that keep the cache where the model computes, or on the host."""

from __future__ import annotations

from typing import Literal

from vlkit.cache.base import CachePolicy, CachePolicyConfig, KVCache, cache_policies


class ResidentConfig(CachePolicyConfig):
    """All layers stay on the device that computes."""

    type: Literal["resident"] = "resident"
    """Tag of the policy."""


@cache_policies.register(ResidentConfig)
class Resident(CachePolicy):
    """Does nothing."""


class OffloadConfig(CachePolicyConfig):
    """Layers live in host memory; the device holds only the one that computes."""

    type: Literal["offload"] = "offload"
    """Tag of the policy."""


@cache_policies.register(OffloadConfig)
class Offload(CachePolicy):
    """Brings a layer's cache to the device before the layer runs and back to the host after it."""

    def before_layer(self, cache: KVCache, index: int) -> None:
        cache.layers[index].to(cache.device)

    def after_layer(self, cache: KVCache, index: int) -> None:
        cache.layers[index].to("cpu")
