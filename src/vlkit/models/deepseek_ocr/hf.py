"""The official `config.json` in both directions.

It says the decoder's fields twice: at the top, where the code beside the weights reads them, and in `language_config`,
where serving engines do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vlkit.decoders import DeepseekV2Config
from vlkit.encoders import ClipConfig, DeepEncoderConfig, SamConfig
from vlkit.models.deepseek_ocr.hf_fields import (
    CLIP_DEFAULTS,
    PROJECTOR_DEFAULTS,
    RELICS,
    SAM_DEFAULTS,
    TOP_DEFAULTS,
    UNUSED,
    UNUSED_IN_VISION,
    VISION_DEFAULTS,
    WIDTH_DEFAULTS,
)
from vlkit.models.deepseek_ocr.modes import DEFAULT, MODES
from vlkit.models.deepseek_vl2.hf_fields import LANGUAGE_DEFAULTS
from vlkit.models.deepseek_vl2.hf_language import decoder_fields, official_language
from vlkit.models.official import complete, require, require_official, section
from vlkit.projectors import LinearConfig

if TYPE_CHECKING:
    from vlkit.models.deepseek_ocr.config import DeepseekOCRConfig

SAM = {
    "downsample_channels": "downsample_channels",
    "global_layers": "global_attn_indexes",
    "heads": "heads",
    "layers": "layers",
    "neck_width": "out_chans",
    "patch_size": "patch_size",
    "width": "width",
    "window_size": "window_size",
}
"""Our fields of SAM and their official names."""


def from_official(source: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `DeepseekOCRConfig` from the content of an official file, in the default mode."""
    top = complete(source, TOP_DEFAULTS, prefix="", unused=UNUSED)
    require(top["model_type"] == "deepseek_vl_v2", f"model_type {top['model_type']!r}", "it is 'deepseek_vl_v2'")
    require(top["tile_tag"] == "2D", f"tile_tag {top['tile_tag']!r}", "it is '2D'")
    encoder = _encoder(section(top, "vision_config"))
    projector = section(top, "projector_config")
    projector = complete(projector, PROJECTOR_DEFAULTS, prefix="projector_config.", unused=UNUSED)
    decoder = DeepseekV2Config.model_validate(decoder_fields(_language(top)))
    require(
        projector["projector_type"] == "linear",
        f"projector_config.projector_type {projector['projector_type']!r}",
        "the official code has a linear projector whatever the file says",
    )
    require(
        projector["input_dim"] == encoder.feature_dim,
        f"projector_config.input_dim {projector['input_dim']} and features of width {encoder.feature_dim}",
        "the projector takes CLIP's and SAM's features side by side, so it is the sum of their widths",
    )
    require(
        projector["n_embed"] == decoder.dim,
        f"projector_config.n_embed {projector['n_embed']} and language_config.hidden_size {decoder.dim}",
        "the projector gives the decoder's width, so both are the same",
    )
    require(
        top["head_dim"] in (..., decoder.dim // decoder.attention.num_attention_heads),
        f"head_dim {top['head_dim']!r:.80}, hidden_size {decoder.dim}, {decoder.attention.num_attention_heads} heads",
        "the heads share the width equally",
    )
    return {
        "encoder": encoder,
        "projector": "linear",
        "layout": "deepseek_ocr",
        "decoder": decoder,
        **MODES[DEFAULT].fields,
    }


def to_official(config: DeepseekOCRConfig) -> dict[str, Any]:
    """Content of an official file."""
    require(
        config.mode == DEFAULT,
        f"mode {config.mode!r} cannot be written to an official config.json",
        "the official code has no field for it: it takes the sizes with each call",
        f'write config.at("{DEFAULT}"), or save in vlkit\'s own format',
    )
    require_official(config.layout.type == "deepseek_ocr", "layout", config.layout.type)
    require_official(config.projector == LinearConfig(), "projector", config.projector)
    language = official_language(config.decoder)
    return {
        "architectures": ["DeepseekOCRForCausalLM"],
        "auto_map": {
            "AutoConfig": "modeling_deepseekocr.DeepseekOCRConfig",
            "AutoModel": "modeling_deepseekocr.DeepseekOCRForCausalLM",
        },
        **RELICS,
        "language_config": language,
        "model_type": "deepseek_vl_v2",
        "projector_config": {
            "input_dim": config.encoder.feature_dim,
            "model_type": "mlp_projector",
            "n_embed": config.decoder.dim,
            "projector_type": "linear",
        },
        "tile_tag": "2D",
        "torch_dtype": "bfloat16",
        "transformers_version": "4.46.3",
        "vision_config": _official_vision(config.encoder),
        **{name: language[name] for name in LANGUAGE_DEFAULTS},
    }


def _language(top: Mapping[str, Any]) -> dict[str, Any]:
    """The `language_config`, completed by the copies of its fields at the top."""
    language = section(top, "language_config")
    copies = {name: top[name] for name in LANGUAGE_DEFAULTS if top[name] is not ...}
    for name, value in copies.items():
        require(
            language.get(name, value) == value,
            f"{name} {value!r:.80} and language_config.{name} {language.get(name)!r:.80}",
            "the file says it twice, so both are the same",
            "correct the wrong one",
        )
    return {**language, **copies}


def _encoder(vision: Mapping[str, Any]) -> DeepEncoderConfig:
    vision = complete(vision, VISION_DEFAULTS, prefix="vision_config.", unused=UNUSED_IN_VISION)
    prefix = "vision_config.width."
    networks = complete(
        section(vision, "width", prefix="vision_config."), WIDTH_DEFAULTS, prefix=prefix, unused=frozenset()
    )
    clip = complete(
        section(networks, "clip-l-14-224", prefix=prefix),
        CLIP_DEFAULTS,
        prefix=f"{prefix}clip-l-14-224.",
        unused=frozenset(),
    )
    sam = complete(
        section(networks, "sam_vit_b", prefix=prefix), SAM_DEFAULTS, prefix=f"{prefix}sam_vit_b.", unused=frozenset()
    )
    fields = {ours: sam[theirs] for ours, theirs in SAM.items()}
    return DeepEncoderConfig(sam=SamConfig(image_size=vision["image_size"], **fields), clip=ClipConfig(**clip))


def _official_vision(encoder: Any) -> dict[str, Any]:
    require_official(isinstance(encoder, DeepEncoderConfig), "encoder", encoder.type)
    fixed = {
        "sam": (encoder.sam, ("mlp_ratio", "image_mean", "image_std")),
        "clip": (encoder.clip, ("mlp_ratio", "activation", "select_layer", "class_token")),
    }
    for part, (network, names) in fixed.items():
        for name in names:
            value, default = getattr(network, name), type(network).model_fields[name].default
            require_official(value == default, f"encoder.{part}.{name}", value)
    sam = encoder.sam.model_dump(mode="json")
    return {
        "image_size": encoder.sam.image_size,
        "mlp_ratio": 3.7362,
        "model_name": "deeplip_b_l",
        "model_type": "vision",
        "width": {
            "clip-l-14-224": {name: getattr(encoder.clip, name) for name in CLIP_DEFAULTS},
            "sam_vit_b": {theirs: sam[ours] for ours, theirs in SAM.items()},
        },
    }
