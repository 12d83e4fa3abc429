"""KV cache and the policies that decide where and how it is kept."""

from typing import TYPE_CHECKING

from vlkit.lazy import lazy_names

if TYPE_CHECKING:
    from vlkit.cache.base import AnyCachePolicy, CachePolicy, CachePolicyConfig, KVCache, cache_policies
    from vlkit.cache.chunk_offload import ChunkOffload, ChunkOffloadConfig
    from vlkit.cache.disk import Disk, DiskConfig
    from vlkit.cache.layer import Codec, LayerCache
    from vlkit.cache.offload import Offload, OffloadConfig
    from vlkit.cache.quantized import Quantized, QuantizedConfig
    from vlkit.cache.quantizer import Quantizer
    from vlkit.cache.resident import Resident, ResidentConfig
    from vlkit.cache.static import Static, StaticConfig, StaticLayer
    from vlkit.cache.store import Store

_HOMES = {
    "vlkit.cache.base": ("AnyCachePolicy", "CachePolicy", "CachePolicyConfig", "KVCache", "cache_policies"),
    "vlkit.cache.chunk_offload": ("ChunkOffload", "ChunkOffloadConfig"),
    "vlkit.cache.disk": ("Disk", "DiskConfig"),
    "vlkit.cache.layer": ("Codec", "LayerCache"),
    "vlkit.cache.offload": ("Offload", "OffloadConfig"),
    "vlkit.cache.quantized": ("Quantized", "QuantizedConfig"),
    "vlkit.cache.quantizer": ("Quantizer",),
    "vlkit.cache.resident": ("Resident", "ResidentConfig"),
    "vlkit.cache.static": ("Static", "StaticConfig", "StaticLayer"),
    "vlkit.cache.store": ("Store",),
}

__all__ = [
    "AnyCachePolicy",
    "CachePolicy",
    "CachePolicyConfig",
    "ChunkOffload",
    "ChunkOffloadConfig",
    "Codec",
    "Disk",
    "DiskConfig",
    "KVCache",
    "LayerCache",
    "Offload",
    "OffloadConfig",
    "Quantized",
    "QuantizedConfig",
    "Quantizer",
    "Resident",
    "ResidentConfig",
    "Static",
    "StaticConfig",
    "StaticLayer",
    "Store",
    "cache_policies",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
