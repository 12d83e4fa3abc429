"""A few small configs of every registered part, for the laws that all parts must keep."""

from collections.abc import Iterator, Mapping
from typing import Any

from vlkit.cache import cache_policies
from vlkit.config import Config
from vlkit.decoders import decoders
from vlkit.encoders import encoders
from vlkit.layouts import layouts
from vlkit.projectors import projectors
from vlkit.registry import Registry

REGISTRIES: dict[str, Registry[Any, Any]] = {
    registry.kind: registry for registry in (encoders, projectors, layouts, decoders, cache_policies)
}
UNBUILDABLE = {"supplied"}
"""Tags that stand for a module of the caller's own."""

UNDRAWABLE = (
    ("encoders", "deep_encoder"),
    ("encoders", "hf_vision"),
    ("encoders", "hybrid"),
    ("encoders", "timm"),
    ("decoders", "hf_causal_lm"),
)
"""Kind and tag of configs that random fields seldom fit: they name what another library has, or two towers of one size.
They are drawn from the small ones below."""

VIT = {"image_size": 12, "patch_size": 4, "width": 8, "layers": 2, "heads": 2, "mlp_ratio": 1.5}
SAM = VIT | {
    "image_size": 32,
    "window_size": 3,
    "global_layers": [1],
    "neck_width": 6,
    "downsample_channels": [8, 12],
}
DECODER = {
    "vocab_size": 13,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "intermediate_size": 9,
    "max_position_embeddings": 24,
    "initializer_range": 0.4,
}
LATENT = {
    "type": "mla",
    "num_attention_heads": 2,
    "kv_lora_rank": 5,
    "qk_nope_head_dim": 3,
    "qk_rope_head_dim": 2,
    "v_head_dim": 4,
}
EXPERTS = {
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 5,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
}
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "mscale_all_dim": 0.7}
LLAMA = {
    "model_type": "llama",
    "vocab_size": 13,
    "hidden_size": 8,
    "intermediate_size": 9,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 24,
}
SIGLIP = {
    "model_type": "siglip_vision_model",
    "image_size": 12,
    "patch_size": 4,
    "hidden_size": 8,
    "intermediate_size": 9,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}

SMALL: dict[str, dict[str, list[dict[str, Any]]]] = {
    "encoders": {
        "clip": [VIT | {"select_layer": -2, "class_token": "keep"}],
        "deep_encoder": [{"sam": SAM, "clip": VIT | {"width": 12, "image_size": 8}}],
        "dinov2": [VIT | {"mlp": "swiglu", "registers": 2, "select_layer": 0}],
        "hf_vision": [{"config": SIGLIP, "image_size": [18, 13]}],
        "hybrid": [{"high": SAM, "low": VIT, "neck_grid": 12}],
        "sam": [SAM],
        "siglip": [
            VIT | {"image_size": [18, 13], "class_token": True},
            VIT | {"pool": "avg", "select_layer": 0, "gradient_checkpointing": True},
        ],
        "timm": [{"model": "test_vit", "image_size": 32}],
    },
    "projectors": {
        "average_pool": [{"grid": [2, 2]}],
        "conv_abstractor": [{"grid": [2, 2], "positions": [3, 3], "width": 8, "blocks": 1}],
        "conv_fusion": [{"projector": {"type": "mlp_gelu"}}],
        "downsample_mlp_gelu": [{}, {"downsample_ratio": 3}],
        "hybrid_split_feature_mlp_gelu": [{"high_width": 3, "channel_div": 0.3}],
        "identity": [{}, {"token_pooling": True}],
        "linear": [{}, {"token_pooling": True, "use_bias": False}],
        "low_high_hybrid_split_mlp_gelu": [{}],
        "low_high_split_mlp_gelu": [{}],
        "mlp_gelu": [{"depth": 3}],
        "pixel_shuffle": [{}],
        "resampler": [
            {
                "queries": [2, 3],
                "depth": 2,
                "heads": 4,
                "kv_heads": 2,
                "head_width": 4,
                "mlp_ratio": 2,
                "input_width": 8,
            }
        ],
    },
    "layouts": {
        "1D": [{}, {"global_view": "tail", "max_tiles": 4}],
        "2D": [{}, {"global_view": "tail"}],
        "deepseek_ocr": [{}],
        "plain": [{}, {"global_view": "tail", "single_tile": True}],
    },
    "decoders": {
        "deepseek_v2": [
            DECODER | {"attention": LATENT, "moe": EXPERTS},
            DECODER | {"attention": {"type": "mha", "num_attention_heads": 4, "num_key_value_heads": 2}},
            DECODER
            | {
                "attention": LATENT | {"q_lora_rank": 4, "mode": "absorb"},
                "rope_scaling": YARN,
                "tie_word_embeddings": True,
            },
        ],
        "hf_causal_lm": [{"config": LLAMA}],
    },
    "cache_policies": {
        "chunk_offload": [{}],
        "disk": [{"on_device": 1}],
        "offload": [{}],
        "quantized": [{"residual": 2, "store": {"type": "offload", "on_device": 1}}],
        "resident": [{}],
        "static": [{"capacity": 32}],
    },
}
"""Kind and tag to the fields of configs that together use most of what the part can do."""


def small_configs(kinds: Mapping[str, Registry[Any, Any]] = REGISTRIES) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, tag and fields of every small config."""
    for kind in kinds:
        for tag, variants in SMALL[kind].items():
            for fields in variants:
                yield kind, tag, fields


def small_config(kind: str, tag: str, fields: Mapping[str, Any]) -> Config:
    """Config of those fields."""
    config: Config = REGISTRIES[kind].resolve(tag, **fields)
    return config


def missing() -> dict[str, set[str]]:
    """Registered tags that have no small config, and small configs of tags that are not registered."""
    return {kind: (set(registry) - UNBUILDABLE) ^ set(SMALL[kind]) for kind, registry in REGISTRIES.items()}
