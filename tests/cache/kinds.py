"""Policies that the laws of the cache are tried with, and small decoders to try them on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from vlkit.cache import KVCache
from vlkit.cache.transfer import Transfer
from vlkit.decoders import DeepseekV2, DeepseekV2Config, MHAConfig, MLAConfig

LATENT = MLAConfig(num_attention_heads=2, kv_lora_rank=5, qk_nope_head_dim=3, qk_rope_head_dim=2, v_head_dim=4)
ATTENTIONS = {
    "multi-head": MHAConfig(num_attention_heads=2),
    "grouped": MHAConfig(num_attention_heads=4, num_key_value_heads=2, head_dim=6),
    "latent, expanded": LATENT.replace(mode="expand"),
    "latent, absorbed": LATENT.replace(mode="absorb"),
}
DIM, LAYERS, VOCABULARY = 8, 3, 11

LOSSLESS: dict[str, Any] = {
    "resident": "resident",
    "static": {"type": "static", "capacity": 1000},
    "offload": "offload",
    "offload, one layer": {"type": "offload", "on_device": 1},
    "offload, all layers": {"type": "offload", "on_device": 5},
    "chunk_offload": "chunk_offload",
    "disk": "disk",
}
ROUNDED: dict[str, Any] = {
    "int8": "quantized",
    "int8, exact channels": {"type": "quantized", "exact_channels": 2, "group_size": 3},
    "int4": {"type": "quantized", "dtype": "int4", "group_size": 2},
    "fp8": {"type": "quantized", "dtype": "fp8", "group_size": 4},
    "int8 on disk": {"type": "quantized", "store": {"type": "disk"}},
    "int8 on the host": {"type": "quantized", "store": {"type": "offload", "on_device": 1}},
    "int8 with exact last positions": {"type": "quantized", "residual": 3},
    "int4 on the host with exact last positions": {
        "type": "quantized",
        "dtype": "int4",
        "residual": 2,
        "store": "chunk_offload",
    },
}


@contextmanager
def moved(really: bool = True) -> Iterator[None]:
    """Context in which layers are copied to the device and back, though device and host are the same."""
    if not really:
        yield
        return
    with patch("vlkit.cache.window.transfer_to", Transfer):
        yield


@lru_cache
def decoder(attention: str, dtype: torch.dtype = torch.float32) -> DeepseekV2:
    """Small decoder that pays attention."""
    torch.manual_seed(0)
    config = DeepseekV2Config(
        vocab_size=VOCABULARY,
        hidden_size=DIM,
        num_hidden_layers=LAYERS,
        intermediate_size=8,
        attention=ATTENTIONS[attention],
        initializer_range=0.5,
    )
    return DeepseekV2(config).to(dtype).eval()


def logits_of(
    model: DeepseekV2, x_BTD: Tensor, chunks: Sequence[int], cache: KVCache, mask_BT: Tensor | None = None
) -> Tensor:
    """Logits of positions that come in chunks; the mask is of all positions."""
    outs, seen = [], cache.length
    for chunk_BTD in x_BTD.split(list(chunks), dim=1):
        seen += chunk_BTD.shape[1]
        mask = None if mask_BT is None else mask_BT[:, :seen]
        outs.append(model.logits(model(chunk_BTD, attention_mask=mask, cache=cache).x_BTD))
    return torch.cat(outs, dim=1)
