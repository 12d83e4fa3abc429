"""A decoder of few lines that keeps all laws, with a method for every step that a mistake can be made in."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlkit.cache import KVCache, LayerCache
from vlkit.decoders import Decoder, DecoderConfig
from vlkit.decoders.base import DecoderOutput
from vlkit.errors import ShapeError
from vlkit.nn.attention import padded_causal_mask


class ToyConfig(DecoderConfig):
    """Attention with one head, and learned positions."""

    type: Literal["toy"] = "toy"
    """Tag of the decoder."""
    positions: int = 16
    """Longest sequence."""

    @property
    def dim(self) -> int:
        return 8

    @property
    def num_layers(self) -> int:
        return 2

    @property
    def vocabulary(self) -> int:
        return 11

    @property
    def max_positions(self) -> int | None:
        return self.positions

    def cached_vectors(self) -> Mapping[int, int]:
        return {self.dim: 2 * self.num_layers}


class ToyLayer(nn.Module):
    """Residual attention."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x_BTD: Tensor, mask_BTS: Tensor, cache: LayerCache | None) -> Tensor:
        """float[B, T, D]."""
        q, k, v = self.qkv(x_BTD).chunk(3, dim=-1)
        if cache is not None:
            k, v = cache.append(k, v)
        return x_BTD + self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=mask_BTS))


class Toy(Decoder):
    """Embeddings, positions, two layers, a head."""

    config: ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocabulary, config.dim)
        self.positions = nn.Embedding(config.positions, config.dim)
        self.layers = nn.ModuleList(ToyLayer(config.dim) for _ in range(config.num_layers))
        self.lm_head = nn.Linear(config.dim, config.vocabulary, bias=False)

    def embed(self, input_ids: Tensor) -> Tensor:
        return self.embedding(input_ids)

    def forward(
        self,
        x_BTD: Tensor,
        *,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: KVCache | None = None,
        output_hidden_states: bool = False,
        output_routing: bool = False,
    ) -> DecoderOutput:
        batch, new, _ = x_BTD.shape
        past = cache.length if cache else 0
        self.limit(past, new)
        self.look_at(attention_mask, x_BTD, cache)
        mask_BS = attention_mask if cache is None else cache.extend_mask(new, attention_mask, batch=batch)
        if mask_BS is None:
            mask_BS = torch.ones(batch, past + new, dtype=torch.bool)
        mask_BTS = self.mask(mask_BS.bool(), new)
        if position_ids is None:
            position_ids = self.count(past, new).expand(batch, new)
        hidden_states = [x_BTD]
        x_BTD = x_BTD + self.positions(position_ids)
        self.say_where(cache, x_BTD)
        for index, layer in enumerate(self.layers):
            x_BTD = self.run_layer(index, layer, x_BTD, mask_BTS, cache)
            hidden_states.append(x_BTD)
        return self.result(x_BTD, hidden_states if output_hidden_states else [])

    def limit(self, past: int, new: int) -> None:
        """Refuse sequences that are too long."""
        self.require_context(past + new)

    def look_at(self, mask: Tensor | None, x_BTD: Tensor, cache: KVCache | None) -> None:
        """Refuse masks of another shape."""
        if cache is None and mask is not None and mask.shape != x_BTD.shape[:2]:
            raise ShapeError(f"a mask of {list(mask.shape)}")

    def mask(self, mask_BS: Tensor, new: int) -> Tensor:
        """Which positions see which, bool[B, 1, T, S] without the heads."""
        return padded_causal_mask(mask_BS, new)

    def count(self, past: int, new: int) -> Tensor:
        """Positions of the new tokens."""
        return torch.arange(past, past + new)

    def say_where(self, cache: KVCache | None, x_BTD: Tensor) -> None:
        """Tell the cache where the decoder computes."""
        if cache:
            cache.device = x_BTD.device

    def run_layer(self, index: int, layer: nn.Module, x_BTD: Tensor, mask_BTS: Tensor, cache: KVCache | None) -> Tensor:
        """One layer between the calls of the policy."""
        if cache is None:
            return layer(x_BTD, mask_BTS, None)
        cache.policy.before_layer(cache, index)
        x_BTD = layer(x_BTD, mask_BTS, cache.layers[index])
        cache.policy.after_layer(cache, index)
        return x_BTD

    def result(self, x_BTD: Tensor, hidden_states: list[Tensor]) -> DecoderOutput:
        """What forward gives."""
        return DecoderOutput(x_BTD, hidden_states=tuple(hidden_states))

    def logits(self, x_BTD: Tensor) -> Tensor:
        return self.lm_head(x_BTD)
