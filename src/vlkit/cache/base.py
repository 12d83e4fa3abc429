"""The KV cache: a list of layer caches, and the policy that decides where and how they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import SerializeAsAny
from torch import Tensor

from vlkit.cache.layer import LayerCache
from vlkit.cache.store import Store, in_blocks, require_capacity
from vlkit.config import Config
from vlkit.errors import ShapeError
from vlkit.registry import Registry


class CachePolicyConfig(Config):
    """Base of cache policy configs: says without tensors what a cache takes.

    `vectors` below are what a decoder keeps per token: how many vectors of each width, over all layers.
    """

    type: str
    """Tag of the policy."""

    @property
    def lossless(self) -> bool:
        """Whether what is read is what was appended, bit for bit."""
        return True

    @property
    def most_positions(self) -> int | None:
        """Longest sequence; None: no limit."""
        return None

    def reserved(self, positions: int) -> int:
        """Positions that memory is reserved for when there are so many."""
        return in_blocks(positions)

    def device_layers(self, layers: int) -> int:
        """Most layers that are on the device at once."""
        return layers

    def token_bytes(self, vectors: Mapping[int, int], itemsize: int) -> int:
        """Bytes that one position takes where it is kept, over all layers."""
        return sum(count * width * itemsize for width, count in vectors.items())

    def cache_bytes(self, vectors: Mapping[int, int], itemsize: int, *, positions: int) -> int:
        """Bytes that one sample's positions reserve, wherever they are: what `KVCache.nbytes` will say."""
        return self.reserved(positions) * self.token_bytes(vectors, itemsize)

    def device_bytes(self, vectors: Mapping[int, int], itemsize: int, *, positions: int, layers: int) -> int:
        """Most of these bytes that are on the device at once."""
        return self.cache_bytes(vectors, itemsize, positions=positions) * self.device_layers(layers) // max(layers, 1)

    def scratch_bytes(self, vectors: Mapping[int, int], itemsize: int, *, positions: int, layers: int) -> int:
        """Bytes on the device beside them while a layer is read."""
        return 0


class CachePolicy:
    """Decides where and how layers are kept; attention never hears of it.

    Subclasses override what they need. The law: every lossless policy gives the same logits, bit for bit.
    """

    def __init__(self, config: CachePolicyConfig) -> None:
        self.config = config

    def new_store(self) -> Store:
        """Place for the positions of one layer."""
        return Store()

    def new_layer(self) -> LayerCache:
        """Empty cache of one layer."""
        return LayerCache(self.new_store)

    def before_layer(self, cache: KVCache, index: int) -> None:
        """Called before layer `index` runs."""

    def after_layer(self, cache: KVCache, index: int) -> None:
        """Called after layer `index` has run, but not if it failed."""


cache_policies: Registry[CachePolicyConfig, CachePolicy] = Registry(
    "cache_policies",
    CachePolicyConfig,
    homes={
        "chunk_offload": "vlkit.cache.chunk_offload",
        "disk": "vlkit.cache.disk",
        "offload": "vlkit.cache.offload",
        "quantized": "vlkit.cache.quantized",
        "resident": "vlkit.cache.resident",
        "static": "vlkit.cache.static",
    },
)
AnyCachePolicy = Annotated[SerializeAsAny[CachePolicyConfig], cache_policies]
"""Field type that takes any registered cache policy."""


class KVCache:
    """What attention keeps of the positions seen so far.

    After a pass that failed, `crop` to the length before it; what single layers have beyond the others is cut off by
    the next pass in any case.

    Args:
        num_layers: layers of the decoder.
        policy: a policy's tag, mapping or config.
    """

    def __init__(self, num_layers: int, policy: str | Mapping[str, Any] | CachePolicyConfig = "resident") -> None:
        self.policy = cache_policies.build(cache_policies.resolve(policy))
        self.layers = [self.policy.new_layer() for _ in range(num_layers)]
        self.mask_BS: Tensor | None = None
        self.device: torch.device = torch.device("cpu")
        self.arriving = 0
        """New positions T of the pass that runs, or ran last."""

    @property
    def length(self) -> int:
        """Positions S that all layers have seen so far."""
        return min((layer.length for layer in self.layers), default=0)

    @property
    def samples(self) -> int:
        """Samples B; 0 while there are no positions."""
        return self.layers[0].samples if self.layers else 0

    @property
    def nbytes(self) -> int:
        """Bytes that all layers reserve, wherever they are, those shared with forks included."""
        return sum(layer.nbytes for layer in self.layers)

    @property
    def shared_nbytes(self) -> int:
        """Bytes of positions that this cache and forks hold together, in one place."""
        return sum(layer.shared_nbytes for layer in self.layers)

    def require_room(self, positions: int) -> None:
        """Refuse what the policy has no room for, before any of it runs.

        Raises:
            ContextLengthError: if there would be more positions in all than it takes.
        """
        most = self.policy.config.most_positions
        if most is not None:
            require_capacity(positions, most)

    def extend_mask(self, new: int, mask: Tensor | None, *, batch: int) -> Tensor | None:
        """Begin a pass: note which of the next T positions are padding.

        Args:
            new: number T of positions about to be appended.
            mask: bool[B, T] of the new ones or bool[B, S] of all; None: no padding.
            batch: number B of samples.

        Returns:
            bool[B, S] for all positions; None if none is padding.

        Raises:
            ShapeError: if the mask has neither length, or another batch.
        """
        past = self.length
        seen = past + new
        if mask is not None and tuple(mask.shape) not in ((batch, new), (batch, seen)):
            raise ShapeError(
                f"attention_mask of shape {list(mask.shape)} with {past} cached and {new} new positions",
                rule=f"it covers the new positions [{batch}, {new}] or all of them [{batch}, {seen}]",
            )
        if any(layer.length != past for layer in self.layers):
            self.crop(past)
        self.arriving = new
        if mask is None and self.mask_BS is None:
            return None
        if mask is None or mask.shape[1] != seen:
            device = self.mask_BS.device if self.mask_BS is not None else mask.device if mask is not None else None
            seen_BS = self.mask_BS
            if seen_BS is None:
                seen_BS = torch.ones(batch, past, dtype=torch.bool, device=device)
            fresh_BT = mask if mask is not None else torch.ones(batch, new, dtype=torch.bool, device=device)
            mask = torch.cat([seen_BS[:, :past], fresh_BT.bool()], dim=1)
        self.mask_BS = mask.bool()
        return self.mask_BS

    def crop(self, length: int) -> None:
        """Forget all positions from `length` on.

        Raises:
            ShapeError: if `length` is negative.
        """
        for layer in self.layers:
            layer.crop(length)
        if self.mask_BS is not None:
            self.mask_BS = self.mask_BS[:, :length]

    def reorder(self, rows: Tensor) -> None:
        """Keep the samples `rows`, int64[B'], in that order; repeats are allowed.

        Positions that are shared with forks stay shared; others are copied.
        """
        for layer in self.layers:
            layer.reorder(rows)
        if self.mask_BS is not None:
            self.mask_BS = self.mask_BS.index_select(0, rows.to(self.mask_BS.device))

    def fork(self, copies: int = 1) -> KVCache:
        """Another cache of this policy that goes on from the same positions, without copying them.

        Both then append to places of their own; what they share is freed with the last of them. While a layer
        computes, its shared and own positions are put together in one tensor on the device. Policies whose buffers
        cannot be divided ("static") copy instead.

        Args:
            copies: how many samples go on from each sample; those of one sample follow each other.

        Raises:
            ShapeError: if `copies` is less than 1.
        """
        if copies < 1:
            raise ShapeError(f"{copies} copies of each sample", rule="there is one at least")
        fork = KVCache(len(self.layers), self.policy.config)
        rows = torch.arange(self.samples).repeat_interleave(copies) if copies > 1 else None
        for ours, theirs in zip(self.layers, fork.layers):
            ours.fork(theirs, rows)
        fork.device, mask = self.device, self.mask_BS
        fork.mask_BS = mask if mask is None or rows is None else mask.index_select(0, rows.to(mask.device))
        return fork
