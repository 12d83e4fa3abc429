"""Decoders: embeddings in, hidden states and logits out."""

from typing import TYPE_CHECKING

from vlkit.lazy import lazy_names

if TYPE_CHECKING:
    from vlkit.decoders.base import AnyDecoder, Decoder, DecoderConfig, DecoderOutput, decoders
    from vlkit.decoders.deepseek_v2 import DeepseekV2, DeepseekV2Config
    from vlkit.decoders.hf_causal_lm import HFCausalLM, HFCausalLMConfig
    from vlkit.nn.attention import MHAConfig
    from vlkit.nn.mla import MLAConfig
    from vlkit.nn.moe import MoEConfig
    from vlkit.nn.rope import DynamicScaling, LinearScaling, YarnScaling
    from vlkit.nn.router import Routing

_HOMES = {
    "vlkit.decoders.base": ("AnyDecoder", "Decoder", "DecoderConfig", "DecoderOutput", "decoders"),
    "vlkit.decoders.deepseek_v2": ("DeepseekV2", "DeepseekV2Config"),
    "vlkit.decoders.hf_causal_lm": ("HFCausalLM", "HFCausalLMConfig"),
    "vlkit.nn.attention": ("MHAConfig",),
    "vlkit.nn.mla": ("MLAConfig",),
    "vlkit.nn.moe": ("MoEConfig",),
    "vlkit.nn.rope": ("DynamicScaling", "LinearScaling", "YarnScaling"),
    "vlkit.nn.router": ("Routing",),
}

__all__ = [
    "AnyDecoder",
    "Decoder",
    "DecoderConfig",
    "DecoderOutput",
    "DeepseekV2",
    "DeepseekV2Config",
    "DynamicScaling",
    "HFCausalLM",
    "HFCausalLMConfig",
    "LinearScaling",
    "MHAConfig",
    "MLAConfig",
    "MoEConfig",
    "Routing",
    "YarnScaling",
    "decoders",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
