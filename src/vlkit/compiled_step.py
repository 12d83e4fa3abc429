"""One new token per sample at fixed shapes: what `torch.compile` and CUDA graphs make fast.

A step writes its keys and values into the buffers of a static cache, at a position that is a tensor, and attends to the
whole buffers under a mask. So nothing that the compiler sees depends on how long the sequence is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vlkit.cache.base import CachePolicy, CachePolicyConfig, KVCache
from vlkit.cache.layer import LayerCache
from vlkit.cache.static import Static, StaticLayer
from vlkit.decoders.deepseek_v2 import DeepseekV2
from vlkit.errors import InputError, ShapeError

if TYPE_CHECKING:
    from vlkit.vlm import VLM


class BufferLayer(LayerCache):
    """A static layer as a compiled step sees it.

    Args:
        layer: holds the buffers.
        position: int64[1], where the new token goes.
    """

    def __init__(self, layer: StaticLayer, position: Tensor) -> None:
        super().__init__()
        self._buffers, self._position = layer.buffers, position

    def append(self, *new: Tensor) -> tuple[Tensor, ...]:
        """Write tensors float[B, ..., 1, width] to their position; returns the whole buffers."""
        for buffer, tensor in zip(self._buffers, new, strict=True):
            buffer.index_copy_(-2, self._position, tensor)
        return self._buffers


class BufferCache(KVCache):
    """The layers of a static cache as a compiled step sees them; it keeps no count and no mask of its own."""

    def __init__(self, layers: list[BufferLayer], device: torch.device) -> None:
        self.policy = CachePolicy(CachePolicyConfig(type="buffers"))
        self.layers: list[Any] = [*layers]
        self.mask_BS, self.device, self.arriving = None, device, 1

    @property
    def length(self) -> int:
        return 0

    def extend_mask(self, new: int, mask: Tensor | None, *, batch: int) -> Tensor | None:
        """None: the step itself says what is seen."""
        return None


class CompiledStep:
    """Decodes one token per sample after a prompt that was prefilled into a static cache.

    Args:
        model: its decoder is the library's own.
        cache: of the policy "static", filled by a pass without gradients.
        backend: of `torch.compile`; "eager" runs the same step uncompiled by it.

    Raises:
        InputError: if the decoder, the policy or the cache is another one.
    """

    def __init__(self, model: VLM, cache: KVCache, *, backend: str = "inductor") -> None:
        if not isinstance(cache.policy, Static):
            raise InputError(
                f"a compiled step with the cache policy {cache.policy.config.type!r}",
                rule="compiled code writes into buffers that stay where they are",
                remedy='pass cache={"type": "static", "capacity": ...}',
            )
        if not isinstance(model.decoder, DeepseekV2):
            raise InputError(
                f"a compiled step of {type(model.decoder).__name__}",
                rule="the decoder is 'deepseek_v2', whose steps have fixed shapes",
                remedy="generate without compile",
            )
        if not cache.length:
            raise InputError("a compiled step before any position is cached", remedy="prefill first")
        self._model, self._cache, self._policy = model, cache, cache.policy
        first = cache.layers[0].tensors[0]
        self._position = torch.zeros(1, dtype=torch.int64, device=first.device)
        self._ids_B = torch.zeros(len(first), dtype=torch.int64, device=first.device)
        layers = self._layers = [layer for layer in cache.layers if isinstance(layer, StaticLayer)]
        self._buffers = BufferCache([BufferLayer(layer, self._position) for layer in layers], first.device)
        for buffer in (buffer for layer in layers for buffer in layer.buffers):
            buffer[..., cache.length :, :] = 0  # a weight of 0 on what was never written must not give NaN
        capacity = layers[0].buffers[0].shape[-2]
        self._seen_BS = torch.zeros(len(first), capacity, dtype=torch.bool, device=first.device)
        self._seen_BS[:, : cache.length] = True if cache.mask_BS is None else cache.mask_BS
        mode = "reduce-overhead" if first.is_cuda and backend == "inductor" else None
        self._run = torch.compile(self._step, backend=backend, mode=mode, dynamic=False)

    @torch.no_grad()
    def __call__(self, ids_B: Tensor) -> Tensor:
        """Logits float[B, vocabulary] behind the new ids int64[B], which are cached.

        Raises:
            ShapeError: if the ids are not one per sample.
            ContextLengthError: if the cache is full or the decoder has no more positions.
        """
        cache = self._cache
        if ids_B.shape != self._ids_B.shape:
            raise ShapeError(
                f"ids of shape {list(ids_B.shape)}", rule=f"one per sample of the cache: {list(self._ids_B.shape)}"
            )
        self._model.decoder.require_context(cache.length + 1)
        self._position.fill_(cache.length)
        for layer in self._layers:
            layer.advance(1)
        self._ids_B.copy_(ids_B)
        logits_BV = self._run().clone()
        if cache.mask_BS is not None:
            cache.mask_BS = torch.cat([cache.mask_BS, cache.mask_BS.new_ones(len(ids_B), 1)], dim=1)
        return logits_BV

    def _step(self) -> Tensor:
        decoder, ids_B = self._model.decoder, self._ids_B
        assert isinstance(decoder, DeepseekV2)
        self._seen_BS.index_fill_(1, self._position, True)
        x_BTD = decoder(
            decoder.embed(ids_B[:, None]),
            position_ids=self._position.expand(len(ids_B), 1),
            cache=self._buffers,
            mask_BTS=self._seen_BS[:, None],
        ).x_BTD
        return self._model.wide_logits(x_BTD[:, -1])
