"""The KV cache: a list of layer caches, and the policy that decides where they live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import SerializeAsAny
from torch import Tensor

from vlkit.config import Config
from vlkit.errors import ShapeError
from vlkit.registry import Registry

BLOCK = 256


class LayerCache:
    """Tensors of one layer that grow along their second-to-last dimension, the positions.

    Memory is taken in blocks of 256 positions, so that appending a token copies only that token. While gradients are
    recorded every append copies instead, because the backward pass needs the earlier positions as they were.
    """

    def __init__(self) -> None:
        self.length = 0
        self._buffers: tuple[Tensor, ...] = ()
        self._writable = False

    def append(self, *new: Tensor) -> tuple[Tensor, ...]:
        """Add tensors float[B, ..., T, width]; returns all S positions, float[B, ..., S, width]."""
        past, start = self.tensors, self.length
        self.length += new[0].shape[-2]
        if torch.is_grad_enabled():
            self._buffers = tuple(torch.cat(pair, dim=-2) for pair in zip(past, new, strict=True)) if start else new
            self._writable = False
            return self._buffers
        self._reserve(new, start)
        for buffer, tensor in zip(self._buffers, new, strict=True):
            buffer[..., start : self.length, :] = tensor
        return self.tensors

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Views of the positions seen so far."""
        return tuple(buffer[..., : self.length, :] for buffer in self._buffers)

    @property
    def nbytes(self) -> int:
        """Bytes that are reserved."""
        return sum(buffer.numel() * buffer.element_size() for buffer in self._buffers)

    def crop(self, length: int) -> None:
        """Forget all positions from `length` on.

        Raises:
            ShapeError: if `length` is negative.
        """
        if length < 0:
            raise ShapeError(f"crop to {length} positions", rule="a length is 0 or more")
        self.length = min(self.length, length)

    def reorder(self, rows: Tensor) -> None:
        """Keep the samples `rows`, int64[B'], in that order; repeats are allowed."""
        self._buffers = tuple(buffer.index_select(0, rows.to(buffer.device)) for buffer in self._buffers)

    def to(self, device: torch.device | str) -> None:
        """Move everything to `device`."""
        self._buffers = tuple(buffer.to(device) for buffer in self._buffers)

    def _reserve(self, new: tuple[Tensor, ...], used: int) -> None:
        sealed = any(buffer.is_inference() for buffer in self._buffers) and not torch.is_inference_mode_enabled()
        if self._writable and not sealed and self._buffers[0].shape[-2] >= self.length:
            return
        capacity = -(-self.length // BLOCK) * BLOCK
        grown = tuple(tensor.new_empty(*tensor.shape[:-2], capacity, tensor.shape[-1]) for tensor in new)
        for buffer, old in zip(grown, self._buffers, strict=False):
            buffer[..., :used, :] = old[..., :used, :]
        self._buffers, self._writable = grown, True


class CachePolicyConfig(Config):
    """Base of cache policy configs."""

    type: str
    """Tag of the policy."""


class CachePolicy:
    """Decides where layer caches live; attention never hears of it.

    Subclasses override what they need. The law: every lossless policy gives the same logits, bit for bit.
    """

    def __init__(self, config: CachePolicyConfig) -> None:
        self.config = config

    def new_layer(self) -> LayerCache:
        """Empty cache of one layer."""
        return LayerCache()

    def before_layer(self, cache: KVCache, index: int) -> None:
        """Called before layer `index` runs."""

    def after_layer(self, cache: KVCache, index: int) -> None:
        """Called after layer `index` has run."""


cache_policies: Registry[CachePolicyConfig, CachePolicy] = Registry(
    "cache_policies",
    CachePolicyConfig,
    homes={
        "resident": "vlkit.cache.policies",
        "offload": "vlkit.cache.policies",
    },
)
AnyCachePolicy = Annotated[SerializeAsAny[CachePolicyConfig], cache_policies]
"""Field type that takes any registered cache policy."""


class KVCache:
    """What attention keeps of the positions seen so far.

    Args:
        num_layers: layers of the decoder.
        policy: a policy's tag, mapping or config.
    """

    def __init__(self, num_layers: int, policy: str | Mapping[str, Any] | CachePolicyConfig = "resident") -> None:
        self.policy = cache_policies.build(cache_policies.resolve(policy))
        self.layers = [self.policy.new_layer() for _ in range(num_layers)]
        self.mask_BS: Tensor | None = None
        self.device: torch.device = torch.device("cpu")

    @property
    def length(self) -> int:
        """Positions S seen so far."""
        return self.layers[-1].length if self.layers else 0

    @property
    def nbytes(self) -> int:
        """Bytes that all layers reserve, wherever they live."""
        return sum(layer.nbytes for layer in self.layers)

    def extend_mask(self, new: int, mask: Tensor | None, *, batch: int) -> Tensor | None:
        """Note which of the next T positions are padding, and return bool[B, S] for all; None if none is padding.

        Args:
            new: number T of positions about to be appended.
            mask: bool[B, T] of the new ones or bool[B, S] of all; None: no padding.
            batch: number B of samples.

        Raises:
            ShapeError: if the mask has neither length, or another batch.
        """
        seen = self.length + new
        if mask is not None and tuple(mask.shape) not in ((batch, new), (batch, seen)):
            raise ShapeError(
                f"attention_mask of shape {list(mask.shape)} with {self.length} cached and {new} new positions",
                rule=f"it covers the new positions [{batch}, {new}] or all of them [{batch}, {seen}]",
            )
        if mask is None and self.mask_BS is None:
            return None
        if mask is None or mask.shape[1] != seen:
            device = self.mask_BS.device if self.mask_BS is not None else mask.device if mask is not None else None
            past = self.mask_BS
            if past is None:
                past = torch.ones(batch, self.length, dtype=torch.bool, device=device)
            fresh = mask if mask is not None else torch.ones(batch, new, dtype=torch.bool, device=device)
            mask = torch.cat([past[:, : self.length], fresh.bool()], dim=1)
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
        """Keep the samples `rows`, int64[B'], in that order; repeats are allowed (beams, shared prefixes)."""
        for layer in self.layers:
            layer.reorder(rows)
        if self.mask_BS is not None:
            self.mask_BS = self.mask_BS.index_select(0, rows.to(self.mask_BS.device))
