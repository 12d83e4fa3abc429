"""Small decoders of the library that cache policies are tried with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from vlkit.cache.base import KVCache
from vlkit.decoders.deepseek_v2 import DeepseekV2, DeepseekV2Config
from vlkit.nn.attention import MHAConfig
from vlkit.nn.mla import MLAConfig
from vlkit.testing.module_subject import shaken
from vlkit.testing.state import isolated

LATENT = MLAConfig(num_attention_heads=2, kv_lora_rank=5, qk_nope_head_dim=3, qk_rope_head_dim=2, v_head_dim=4)
ATTENTIONS: dict[str, MHAConfig | MLAConfig] = {
    "multi-head attention": MHAConfig(num_attention_heads=2),
    "latent attention, expanded": LATENT.replace(mode="expand"),
    "latent attention, absorbed": LATENT.replace(mode="absorb"),
}
DIM, LAYERS, LENGTH, BATCH = 8, 3, 8, 3
VOCABULARY = 11
CHUNKS = ([8], [3, 1, 4], [5, 3], [1] * 8)
"""Ways for the positions to come."""
PADS = (0, 2, 5)
"""Positions of padding on the left of each sample."""


@lru_cache(maxsize=1)
def reference_decoders() -> dict[str, DeepseekV2]:
    """Small decoders with different caches, by the name of their attention."""
    with isolated():
        return {
            name: shaken(
                DeepseekV2(
                    DeepseekV2Config(
                        vocab_size=VOCABULARY,
                        hidden_size=DIM,
                        num_hidden_layers=LAYERS,
                        intermediate_size=8,
                        attention=attention,
                        initializer_range=0.4,
                    )
                ).eval()
            )
            for name, attention in ATTENTIONS.items()
        }


def left_padded() -> Tensor:
    """Mask bool[B, T] of samples with different padding."""
    return torch.arange(LENGTH) >= torch.tensor(PADS)[:, None]


def logits_of(
    decoder: DeepseekV2, cache: KVCache, x: Tensor, chunks: Sequence[int], mask: Tensor | None = None
) -> Tensor:
    """Logits of positions that come in chunks."""
    outs = []
    for chunk in x.split(list(chunks), dim=1):
        seen = cache.length + chunk.shape[1]
        out = decoder(chunk, cache=cache, attention_mask=None if mask is None else mask[:, :seen])
        outs.append(decoder.logits(out.x_BTD))
    return torch.cat(outs, dim=1)
