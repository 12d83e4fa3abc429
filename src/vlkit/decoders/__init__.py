"""Decoders: embeddings in, hidden states and logits out."""

from vlkit.decoders.base import AnyDecoder, Decoder, DecoderConfig, DecoderOutput, decoders
from vlkit.decoders.deepseek_v2 import DeepseekV2, DeepseekV2Config
from vlkit.nn.attention import MHAConfig
from vlkit.nn.mla import MLAConfig
from vlkit.nn.moe import MoEConfig
from vlkit.nn.rope import DynamicScaling, LinearScaling, YarnScaling
from vlkit.nn.router import Routing

__all__ = [
    "AnyDecoder",
    "Decoder",
    "DecoderConfig",
    "DecoderOutput",
    "DeepseekV2",
    "DeepseekV2Config",
    "DynamicScaling",
    "LinearScaling",
    "MHAConfig",
    "MLAConfig",
    "MoEConfig",
    "Routing",
    "YarnScaling",
    "decoders",
]
