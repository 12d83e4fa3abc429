"""The official `config.json` in both directions.

Official omissions have the defaults of the official config classes, which differ from those of other libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vlkit.cropping import Cropping
from vlkit.encoders import SigLIPConfig
from vlkit.layouts import Layout1DConfig
from vlkit.models.deepseek_vl2.hf_fields import PROJECTOR_DEFAULTS, TOP_DEFAULTS, UNUSED, VISION_DEFAULTS
from vlkit.models.deepseek_vl2.hf_language import decoder_fields, official_language
from vlkit.models.official import complete, require, require_official, section
from vlkit.projectors import DownsampleMlpGeluConfig, IdentityConfig, LinearConfig, MlpGeluConfig

if TYPE_CHECKING:
    from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config

POOLS = {"map": "map", "avg": "avg", "token": "token", "": "none"}


def from_official(source: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `DeepseekVLV2Config` from the content of an official file."""
    top = complete(source, TOP_DEFAULTS, prefix="", unused=UNUSED)
    vision = complete(section(top, "vision_config"), VISION_DEFAULTS, prefix="vision_config.", unused=UNUSED)
    projector = complete(
        section(top, "projector_config"), PROJECTOR_DEFAULTS, prefix="projector_config.", unused=UNUSED
    )
    decoder = decoder_fields(section(top, "language_config"))
    require(top["model_type"] == "deepseek_vl_v2", f"model_type {top['model_type']!r}", "it is 'deepseek_vl_v2'")
    require(
        top["tile_tag"] in ("1D", "2D"),
        f"tile_tag {top['tile_tag']!r}",
        "it is '1D' or '2D', and the official default is neither, so it must be given",
        "the released models use '2D'",
    )
    require(
        projector["input_dim"] == vision["width"],
        f"projector_config.input_dim {projector['input_dim']} and vision_config.width {vision['width']}",
        "the projector takes the encoder's features, so both are the same",
    )
    require(
        projector["n_embed"] == decoder["hidden_size"],
        f"projector_config.n_embed {projector['n_embed']} and language_config.hidden_size {decoder['hidden_size']}",
        "the projector gives the decoder's width, so both are the same",
    )
    candidates = top["candidate_resolutions"]
    require(
        isinstance(candidates, list | tuple), f"candidate_resolutions {candidates!r}", "it is a list of [width, height]"
    )
    layout = {"type": top["tile_tag"], "global_view": "head" if top["global_view_pos"] == "head" else "tail"}
    if top["tile_tag"] == "1D":
        layout["max_tiles"] = len(candidates)
    return {
        "encoder": _encoder(vision),
        "projector": _projector(projector),
        "layout": layout,
        "decoder": decoder,
        "candidate_resolutions": candidates,
    }


def to_official(config: DeepseekVLV2Config) -> dict[str, Any]:
    """Content of an official file."""
    encoder, layout, decoder = config.encoder, config.layout, config.decoder
    require_official(config.cropping == Cropping(), "cropping", config.cropping)
    require_official(config.global_view_size is None, "global_view_size", config.global_view_size)
    require_official(layout.type in ("1D", "2D"), "layout", layout.type)
    candidates = [list(resolution) for resolution in config.candidate_resolutions]
    if isinstance(layout, Layout1DConfig):
        require_official(layout.max_tiles == len(candidates), "layout.max_tiles", layout.max_tiles)
    return {
        "architectures": ["DeepseekVLV2ForCausalLM"],
        "candidate_resolutions": candidates,
        "global_view_pos": getattr(layout, "global_view", "head"),
        "language_config": official_language(decoder),
        "model_type": "deepseek_vl_v2",
        "projector_config": {
            "model_type": "mlp_projector",
            "input_dim": encoder.feature_dim,
            "n_embed": decoder.dim,
            **_official_projector(config.projector),
        },
        "tile_tag": layout.type,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.38.2",
        "vision_config": _official_vision(encoder),
    }


def _encoder(vision: dict[str, Any]) -> dict[str, Any]:
    require(
        isinstance(vision["global_pool"], str) and vision["global_pool"] in POOLS,
        f"vision_config.global_pool {vision['global_pool']!r}",
        f"one of {', '.join(map(repr, POOLS))}",
    )
    require(vision["ignore_head"], "vision_config.ignore_head false", "the model needs features, not a pooled vector")
    require(not vision["deterministic"], "vision_config.deterministic true", "dropout-free code has no such switch")
    fields = {name: vision[name] for name in ("image_size", "patch_size", "width", "layers", "heads", "mlp_ratio")}
    return {
        "type": "siglip",
        **fields,
        "class_token": vision["class_token"],
        "pool": POOLS[vision["global_pool"]],
        "gradient_checkpointing": vision["use_checkpoint"],
    }


def _official_vision(encoder: Any) -> dict[str, Any]:
    require_official(isinstance(encoder, SigLIPConfig), "encoder", encoder.type)
    require_official(isinstance(encoder.image_size, int), "encoder.image_size", encoder.image_size)
    require_official(encoder.select_layer is None, "encoder.select_layer", encoder.select_layer)
    require_official(not encoder.stem, "encoder.stem", encoder.stem)
    return {
        "class_token": encoder.class_token,
        "deterministic": False,
        "global_pool": {ours: theirs for theirs, ours in POOLS.items()}[encoder.pool],
        "heads": encoder.heads,
        "ignore_head": True,
        "image_size": encoder.image_size,
        "layers": encoder.layers,
        "mlp_ratio": encoder.mlp_ratio,
        "model_name": "siglip_so400m_patch14_384",
        "model_type": "vision",
        "num_classes": 0,
        "num_recomputing_layers": 0,
        "patch_size": encoder.patch_size,
        "use_checkpoint": encoder.gradient_checkpointing,
        "weight_init": "skip",
        "width": encoder.width,
    }


def _projector(projector: dict[str, Any]) -> dict[str, Any]:
    kind = projector["projector_type"]
    fields: dict[str, Any] = {"type": kind}
    if kind == "downsample_mlp_gelu":
        fields |= {name: projector[name] for name in ("mlp_ratio", "downsample_ratio")}
    if kind in ("downsample_mlp_gelu", "mlp_gelu"):
        fields["depth"] = projector["depth"]
    if kind != "downsample_mlp_gelu" or projector["token_pooling"]:
        fields["token_pooling"] = projector["token_pooling"]
    return fields


def _official_projector(projector: Any) -> dict[str, Any]:
    known = isinstance(projector, DownsampleMlpGeluConfig | IdentityConfig | LinearConfig | MlpGeluConfig)
    require_official(known, "projector", projector.type)
    require_official(projector.use_bias, "projector.use_bias", projector.use_bias)
    for name in ("norm", "pool_first"):
        require_official(not getattr(projector, name, False), f"projector.{name}", True)
    return {
        "depth": getattr(projector, "depth", 2),
        "downsample_ratio": getattr(projector, "downsample_ratio", 2),
        "mlp_ratio": getattr(projector, "mlp_ratio", 1),
        "projector_type": projector.type,
        "token_pooling": getattr(projector, "token_pooling", False),
    }
