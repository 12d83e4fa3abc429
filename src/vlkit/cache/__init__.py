"""KV cache and the policies that decide where it lives."""

from typing import TYPE_CHECKING

from vlkit.lazy import lazy_names

if TYPE_CHECKING:
    from vlkit.cache.base import AnyCachePolicy, CachePolicy, CachePolicyConfig, KVCache, LayerCache, cache_policies
    from vlkit.cache.policies import Offload, OffloadConfig, Resident, ResidentConfig

_HOMES = {
    "vlkit.cache.base": (
        "AnyCachePolicy",
        "CachePolicy",
        "CachePolicyConfig",
        "KVCache",
        "LayerCache",
        "cache_policies",
    ),
    "vlkit.cache.policies": ("Offload", "OffloadConfig", "Resident", "ResidentConfig"),
}

__all__ = [
    "AnyCachePolicy",
    "CachePolicy",
    "CachePolicyConfig",
    "KVCache",
    "LayerCache",
    "Offload",
    "OffloadConfig",
    "Resident",
    "ResidentConfig",
    "cache_policies",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
