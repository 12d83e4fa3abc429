"""Fewer bits for what is kept, wherever it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from vlkit.cache.base import AnyCachePolicy, CachePolicy, CachePolicyConfig, KVCache, cache_policies
from vlkit.cache.layer import LayerCache
from vlkit.cache.quantizer import CodeType, Quantizer
from vlkit.cache.resident import ResidentConfig
from vlkit.cache.store import Store
from vlkit.config import Width
from vlkit.errors import ConfigError


class QuantizedConfig(CachePolicyConfig):
    """Positions are rounded once, when they are appended, and read back in the model's type; see `Quantizer`."""

    type: Literal["quantized"] = "quantized"
    """Tag of the policy."""
    dtype: CodeType = "int8"
    """Type of the codes."""
    group_size: Width = 64
    """Neighbouring channels that share a scale, at each position."""
    exact_channels: int = Field(default=0, ge=0, le=2**20)
    """Last channels of each vector that stay exact; for latent attention its `qk_rope_head_dim`, the rotated key."""
    residual: int = Field(default=0, ge=0, le=2**20)
    """Last positions that stay exact, on the device."""
    store: AnyCachePolicy = ResidentConfig()
    """Where codes and scales are kept: another policy."""

    @property
    def quantizer(self) -> Quantizer:
        """The rounding."""
        return Quantizer(self.dtype, group_size=self.group_size, exact_channels=self.exact_channels)

    @property
    def lossless(self) -> bool:
        return False

    @property
    def most_positions(self) -> int | None:
        return self.store.most_positions

    def reserved(self, positions: int) -> int:
        return self.store.reserved(max(positions - self.residual, 0))

    def device_layers(self, layers: int) -> int:
        return self.store.device_layers(layers)

    def token_bytes(self, vectors: Mapping[int, int], itemsize: int) -> int:
        return sum(count * self.quantizer.vector_bytes(width, itemsize) for width, count in vectors.items())

    def cache_bytes(self, vectors: Mapping[int, int], itemsize: int, *, positions: int) -> int:
        rounded = super().cache_bytes(vectors, itemsize, positions=positions)
        return rounded + self._exact_bytes(vectors, itemsize, positions)

    def device_bytes(self, vectors: Mapping[int, int], itemsize: int, *, positions: int, layers: int) -> int:
        exact = self._exact_bytes(vectors, itemsize, positions)
        rounded = self.cache_bytes(vectors, itemsize, positions=positions) - exact
        return rounded * self.device_layers(layers) // max(layers, 1) + exact

    def scratch_bytes(self, vectors: Mapping[int, int], itemsize: int, *, positions: int, layers: int) -> int:
        return positions * super().token_bytes(vectors, itemsize) // max(layers, 1)

    def _exact_bytes(self, vectors: Mapping[int, int], itemsize: int, positions: int) -> int:
        return min(positions, self.residual) * super().token_bytes(vectors, itemsize)

    @model_validator(mode="after")
    def _check(self) -> QuantizedConfig:
        if isinstance(self.store, QuantizedConfig):
            raise ConfigError(
                "a quantized store of a quantized cache", rule="what is rounded once is not rounded again"
            )
        return self


@cache_policies.register(QuantizedConfig)
class Quantized(CachePolicy):
    """Rounds what another policy keeps; a layer is read back as a whole while it computes.

    What attention reads of a position does not depend on how the positions came, unless some stay exact (`residual`) or
    gradients are recorded, when nothing is rounded.
    """

    config: QuantizedConfig

    def __init__(self, config: QuantizedConfig) -> None:
        super().__init__(config)
        self._place = cache_policies.build(config.store)

    def new_store(self) -> Store:
        return self._place.new_store()

    def new_layer(self) -> LayerCache:
        return LayerCache(self.new_store, codec=self.config.quantizer, exact=self.config.residual)

    def before_layer(self, cache: KVCache, index: int) -> None:
        self._place.before_layer(cache, index)

    def after_layer(self, cache: KVCache, index: int) -> None:
        self._place.after_layer(cache, index)
