"""The official `config.json` in both directions.

Official omissions have the defaults of the official classes and, in the decoder, of transformers 4.38.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vlkit.decoders import DeepseekV2Config, MHAConfig
from vlkit.encoders import HybridConfig
from vlkit.layouts import PlainConfig
from vlkit.models.deepseek_vl.cropping import whole_pictures
from vlkit.models.deepseek_vl.hf_fields import ALIGNER_DEFAULTS, LANGUAGE_DEFAULTS, TOP_DEFAULTS, UNUSED
from vlkit.models.deepseek_vl.hf_vision import class_and_params, encoder_fields, official_vision, require_given
from vlkit.models.official import complete, require, require_official, section
from vlkit.projectors import IdentityConfig, LinearConfig, LowHighHybridSplitMlpGeluConfig, MlpGeluConfig

if TYPE_CHECKING:
    from vlkit.models.deepseek_vl.config import DeepseekVLConfig

ALIGNER, SPLIT = "MlpProjector", "low_high_hybrid_split_mlp_gelu"
PATH = "aligner_config.params."
ALIGNERS = ("identity", "linear", "mlp_gelu", SPLIT)
CONVERTED = ("deepseek_vl", "deepseek_vl_hybrid")
"""What transformers calls the checkpoints that it has converted."""
VOCABULARY, SPECIAL_IDS = 102400, (100000, 100001)
"""The released vocabulary and its begin and end token; the default of the official class belongs to another one."""
LLAMA_IDS = (1, 2)
"""Begin and end token that this default names."""


def from_official(source: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `DeepseekVLConfig` from the content of an official file."""
    _require_own(source)
    top = complete(source, TOP_DEFAULTS, prefix="", unused=UNUSED)
    require(top["model_type"] == "multi_modality", f"model_type {top['model_type']!r:.80}", "it is 'multi_modality'")
    kind, params = class_and_params(top, "aligner_config")
    require(kind == ALIGNER, f"aligner_config.cls {kind!r:.80}", f"it is {ALIGNER!r}")
    aligner = complete(params, ALIGNER_DEFAULTS, prefix=PATH, unused=())
    require_given(aligner, PATH)
    split = aligner["projector_type"] == SPLIT
    encoder, decoder = encoder_fields(top, side_by_side=not split), _decoder(section(top, "language_config"))
    require(
        not split or encoder["type"] == "hybrid",
        f"{PATH}projector_type {SPLIT!r} with one tower",
        "it takes the features of two",
        "the released model with one tower has 'mlp_gelu'",
    )
    width = _input_dim(encoder, split=split)
    require(
        aligner["input_dim"] == width,
        f"{PATH}input_dim {aligner['input_dim']!r:.80} for features of width {width}",
        "the aligner takes the features of the tower, or of either of two",
    )
    require(
        aligner["n_embed"] == decoder["hidden_size"],
        f"{PATH}n_embed {aligner['n_embed']!r:.80} and language_config.hidden_size {decoder['hidden_size']!r:.80}",
        "the aligner gives the decoder's width, so both are the same",
    )
    size = encoder.get("high", encoder)["image_size"]
    return {
        "encoder": encoder,
        "projector": _projector(aligner),
        "decoder": decoder,
        "candidate_resolutions": [[size, size]],
    }


def to_official(config: DeepseekVLConfig) -> dict[str, Any]:
    """Content of an official file."""
    encoder, projector, layout = config.encoder, config.projector, config.layout
    split = projector.type == SPLIT
    require_official(layout == PlainConfig(), "layout", layout.type)
    require_official(config.cropping == whole_pictures(), "cropping", config.cropping)
    require_official(config.global_view_size is None, "global_view_size", config.global_view_size)
    candidates = config.candidate_resolutions
    require_official(candidates == (encoder.tile_size,), "candidate_resolutions", candidates)
    apart = isinstance(encoder, HybridConfig) and encoder.high.feature_dim == encoder.low.feature_dim
    require_official(apart or not split, "projector", f"{projector.type} without two towers of one width")
    vision = official_vision(encoder, side_by_side=not split)
    return {
        "aligner_config": {
            "cls": ALIGNER,
            "model_type": "aligner",
            "params": {
                **_official_projector(projector),
                "input_dim": encoder.feature_dim // 2 if split else encoder.feature_dim,
                "n_embed": config.decoder.dim,
            },
        },
        "architectures": ["MultiModalityCausalLM"],
        "language_config": _official_language(config.decoder),
        "model_type": "multi_modality",
        "torch_dtype": "float16",
        "transformers_version": "4.38.2",
        "vision_config": vision,
    }


def _require_own(source: Mapping[str, Any]) -> None:
    """Refuse files of relatives that look alike, by name."""
    require(
        source.get("model_type") not in CONVERTED,
        f"model_type {source.get('model_type')!r:.80}",
        "official files say 'multi_modality'; this one was converted for transformers, where all names are others",
        "take the checkpoint of deepseek-ai itself",
    )
    drawing = [str(name) for name in source if str(name).startswith("gen_")]
    require(
        not drawing,
        f"{', '.join(drawing)[:80]} in a config of DeepSeek-VL",
        "DeepSeek-VL takes pictures and makes none; this is Janus, which has the same model_type",
    )


def _input_dim(encoder: Mapping[str, Any], *, split: bool) -> Any:
    if encoder["type"] != "hybrid":
        return encoder["width"]
    high, low = encoder["high"]["downsample_channels"][-1], encoder["low"]["width"]
    if not split:
        return high + low
    require(high == low, f"vision_config: towers of widths {high} and {low}", f"{SPLIT!r} takes two of one width")
    return high


def _projector(aligner: Mapping[str, Any]) -> dict[str, Any]:
    kind = aligner["projector_type"]
    require(kind in ALIGNERS, f"{PATH}projector_type {kind!r:.80}", f"one of {', '.join(map(repr, ALIGNERS))}")
    return {"type": kind} | ({"depth": aligner["depth"]} if kind in ("mlp_gelu", SPLIT) else {})


def _official_projector(projector: Any) -> dict[str, Any]:
    known = isinstance(projector, IdentityConfig | LinearConfig | LowHighHybridSplitMlpGeluConfig | MlpGeluConfig)
    require_official(known, "projector", projector.type)
    require_official(projector.use_bias, "projector.use_bias", projector.use_bias)
    pooled = getattr(projector, "token_pooling", False)
    require_official(not pooled, "projector.token_pooling", pooled)
    return {"depth": getattr(projector, "depth", 1), "projector_type": projector.type}


def _decoder(given: Mapping[str, Any]) -> dict[str, Any]:
    language = complete(given, LANGUAGE_DEFAULTS, prefix="language_config.", unused=UNUSED)
    for name, value in {"hidden_act": "silu", "attention_dropout": 0.0}.items():
        require(
            language[name] == value, f"language_config.{name} {language[name]!r:.80}", f"only {value!r} is supported"
        )
    heads, keys = language["num_attention_heads"], language["num_key_value_heads"]
    default = SPECIAL_IDS if language["vocab_size"] == VOCABULARY else LLAMA_IDS
    return {
        "type": "deepseek_v2",
        **{name: language[name] for name in DeepseekV2Config.model_fields if name in language},
        "attention": {
            "type": "mha",
            "num_attention_heads": heads,
            "num_key_value_heads": None if keys == heads else keys,
            "attention_bias": language["attention_bias"],
        },
        "moe": None,
        "bos_token_id": default[0] if language["bos_token_id"] is ... else language["bos_token_id"],
        "eos_token_id": default[1] if language["eos_token_id"] is ... else language["eos_token_id"],
    }


def _official_language(decoder: Any) -> dict[str, Any]:
    require_official(isinstance(decoder, DeepseekV2Config), "decoder", decoder.type)
    attention = decoder.attention
    require_official(isinstance(attention, MHAConfig), "decoder.attention", attention.type)
    require_official(attention.head_dim is None, "decoder.attention.head_dim", attention.head_dim)
    require_official(decoder.moe is None, "decoder.moe", "experts")
    fields = decoder.model_dump(mode="json") | attention.model_dump(mode="json")
    known = {name: fields[name] for name in LANGUAGE_DEFAULTS if name in fields}
    return LANGUAGE_DEFAULTS | known | {"num_key_value_heads": attention.kv_heads, "model_type": "llama"}
