"""KV cache and the policies that decide where it lives."""

from vlkit.cache.base import AnyCachePolicy, CachePolicy, CachePolicyConfig, KVCache, LayerCache, cache_policies
from vlkit.cache.policies import Offload, OffloadConfig, Resident, ResidentConfig

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
