"""The official `config.json` in both directions.

Official omissions have the defaults of the official config classes, which differ from those of other libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vlkit.config import Config
from vlkit.cropping import Cropping
from vlkit.decoders import DeepseekV2Config, MHAConfig, MLAConfig, MoEConfig
from vlkit.encoders import SigLIPConfig
from vlkit.errors import ConfigError, did_you_mean
from vlkit.layouts import Layout1DConfig
from vlkit.models.deepseek_vl2.hf_fields import (
    LANGUAGE_DEFAULTS,
    PROJECTOR_DEFAULTS,
    TOP_DEFAULTS,
    UNUSED,
    VISION_DEFAULTS,
)
from vlkit.projectors import DownsampleMlpGeluConfig, IdentityConfig, LinearConfig, MlpGeluConfig

if TYPE_CHECKING:
    from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config

POOLS = {"map": "map", "avg": "avg", "token": "token", "": "none"}
SPECIAL_IDS = {129280: (0, 1), 102400: (100000, 100001)}
"""Begin and end token of the released vocabularies; the official class default is wrong for the larger one."""


def from_official(source: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `DeepseekVLV2Config` from the content of an official file."""
    top = _complete(source, TOP_DEFAULTS, "")
    vision = _complete(_section(top, "vision_config"), VISION_DEFAULTS, "vision_config.")
    projector = _complete(_section(top, "projector_config"), PROJECTOR_DEFAULTS, "projector_config.")
    language = _complete(_section(top, "language_config"), LANGUAGE_DEFAULTS, "language_config.")
    _require(top["model_type"] == "deepseek_vl_v2", f"model_type {top['model_type']!r}", "it is 'deepseek_vl_v2'")
    _require(
        top["tile_tag"] in ("1D", "2D"),
        f"tile_tag {top['tile_tag']!r}",
        "it is '1D' or '2D', and the official default is neither, so it must be given",
        "the released models use '2D'",
    )
    _require(
        projector["input_dim"] == vision["width"],
        f"projector_config.input_dim {projector['input_dim']} and vision_config.width {vision['width']}",
        "the projector takes the encoder's features, so both are the same",
    )
    _require(
        projector["n_embed"] == language["hidden_size"],
        f"projector_config.n_embed {projector['n_embed']} and language_config.hidden_size {language['hidden_size']}",
        "the projector gives the decoder's width, so both are the same",
    )
    candidates = top["candidate_resolutions"]
    _require(
        isinstance(candidates, list | tuple), f"candidate_resolutions {candidates!r}", "it is a list of [width, height]"
    )
    layout = {"type": top["tile_tag"], "global_view": "head" if top["global_view_pos"] == "head" else "tail"}
    if top["tile_tag"] == "1D":
        layout["max_tiles"] = len(candidates)
    return {
        "encoder": _encoder(vision),
        "projector": _projector(projector),
        "layout": layout,
        "decoder": _decoder(language),
        "candidate_resolutions": candidates,
    }


def to_official(config: DeepseekVLV2Config) -> dict[str, Any]:
    """Content of an official file."""
    encoder, layout, decoder = config.encoder, config.layout, config.decoder
    _require_official(isinstance(decoder, DeepseekV2Config), "decoder", decoder.type)
    _require_official(config.cropping == Cropping(), "cropping", config.cropping)
    _require_official(config.global_view_size is None, "global_view_size", config.global_view_size)
    _require_official(layout.type in ("1D", "2D"), "layout", layout.type)
    candidates = [list(resolution) for resolution in config.candidate_resolutions]
    if isinstance(layout, Layout1DConfig):
        _require_official(layout.max_tiles == len(candidates), "layout.max_tiles", layout.max_tiles)
    return {
        "architectures": ["DeepseekVLV2ForCausalLM"],
        "candidate_resolutions": candidates,
        "global_view_pos": getattr(layout, "global_view", "head"),
        "language_config": _official_language(decoder),
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
    _require(
        isinstance(vision["global_pool"], str) and vision["global_pool"] in POOLS,
        f"vision_config.global_pool {vision['global_pool']!r}",
        f"one of {', '.join(map(repr, POOLS))}",
    )
    _require(vision["ignore_head"], "vision_config.ignore_head false", "the model needs features, not a pooled vector")
    _require(not vision["deterministic"], "vision_config.deterministic true", "dropout-free code has no such switch")
    fields = {name: vision[name] for name in ("image_size", "patch_size", "width", "layers", "heads", "mlp_ratio")}
    return {
        "type": "siglip",
        **fields,
        "class_token": vision["class_token"],
        "pool": POOLS[vision["global_pool"]],
        "gradient_checkpointing": vision["use_checkpoint"],
    }


def _official_vision(encoder: Any) -> dict[str, Any]:
    _require_official(isinstance(encoder, SigLIPConfig), "encoder", encoder.type)
    _require_official(isinstance(encoder.image_size, int), "encoder.image_size", encoder.image_size)
    _require_official(encoder.select_layer is None, "encoder.select_layer", encoder.select_layer)
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
    _require_official(known, "projector", projector.type)
    _require_official(projector.use_bias, "projector.use_bias", projector.use_bias)
    for name in ("norm", "pool_first"):
        _require_official(not getattr(projector, name, False), f"projector.{name}", True)
    return {
        "depth": getattr(projector, "depth", 2),
        "downsample_ratio": getattr(projector, "downsample_ratio", 2),
        "mlp_ratio": getattr(projector, "mlp_ratio", 1),
        "projector_type": projector.type,
        "token_pooling": getattr(projector, "token_pooling", False),
    }


def _decoder(language: dict[str, Any]) -> dict[str, Any]:
    for name, value in {"hidden_act": "silu", "attention_dropout": 0.0, "lm_head": True, "rm_head": False}.items():
        _require(language[name] == value, f"language_config.{name} {language[name]!r}", f"only {value!r} is supported")
    bos, eos, pad = _special_ids(language)
    return {
        "type": "deepseek_v2",
        **_shared(DeepseekV2Config, language),
        "attention": _attention(language),
        "moe": _moe(language),
        "bos_token_id": bos,
        "eos_token_id": eos,
        "pad_token_id": pad,
    }


def _special_ids(language: dict[str, Any]) -> tuple[Any, Any, Any]:
    vocabulary = language["vocab_size"]
    default = SPECIAL_IDS[vocabulary if vocabulary in list(SPECIAL_IDS) else 102400]
    bos = default[0] if language["bos_token_id"] is Ellipsis else language["bos_token_id"]
    eos = default[1] if language["eos_token_id"] is Ellipsis else language["eos_token_id"]
    pad = language["pad_token_id"]
    if pad is None and isinstance(eos, int) and isinstance(vocabulary, int) and eos + 1 < vocabulary:
        pad = eos + 1  # DeepSeek's tokenizers place the padding token right after the end token
    return bos, eos, pad


def _attention(language: dict[str, Any]) -> dict[str, Any]:
    if language["use_mla"]:
        return {"type": "mla", **_shared(MLAConfig, language)}
    heads, keys = language["num_attention_heads"], language["num_key_value_heads"]
    return {"type": "mha", **_shared(MHAConfig, language), "num_key_value_heads": None if keys == heads else keys}


def _moe(language: dict[str, Any]) -> dict[str, Any] | None:
    if language["n_routed_experts"] is None:
        return None
    _require(
        language["topk_method"] != "gready",
        "language_config.topk_method 'gready'",
        "the official default is misspelt and fails in the official router, so it must be given",
        "'greedy', 'group_limited_greedy' or 'noaux_tc'",
    )
    groups = {name: language[name] or 1 for name in ("n_group", "topk_group")}
    return _shared(MoEConfig, language) | groups


def _official_language(decoder: Any) -> dict[str, Any]:
    attention, moe = decoder.attention, decoder.moe
    fields = LANGUAGE_DEFAULTS | _known(decoder) | _known(attention)
    if decoder.pad_token_id is None:
        fields["pad_token_id"] = next((token for token in decoder.stop_ids if token < decoder.vocab_size), None)
    if isinstance(attention, MHAConfig):
        _require_official(attention.head_dim is None, "decoder.attention.head_dim", attention.head_dim)
        nothing = {"kv_lora_rank": None, "q_lora_rank": None}
        fields |= nothing | dict.fromkeys(("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"), 0)
        fields |= {"use_mla": False, "num_key_value_heads": attention.kv_heads}
    else:
        fields |= {"use_mla": True, "num_key_value_heads": attention.num_attention_heads}
    if moe is not None:
        fields |= _known(moe)
    else:
        fields["topk_method"] = "greedy"
    return fields | {
        "architectures": ["DeepseekV2ForCausalLM"],
        "auto_map": {
            "AutoConfig": "configuration_deepseek.DeepseekV2Config",
            "AutoModel": "modeling_deepseek.DeepseekV2Model",
            "AutoModelForCausalLM": "modeling_deepseek.DeepseekV2ForCausalLM",
        },
        "model_type": "deepseek_v2",
        "torch_dtype": "bfloat16",
    }


def _shared(config_class: type[Config], language: dict[str, Any]) -> dict[str, Any]:
    return {name: language[name] for name in config_class.model_fields if name in language}


def _known(config: Config) -> dict[str, Any]:
    return {name: value for name, value in config.model_dump(mode="json").items() if name in LANGUAGE_DEFAULTS}


def _section(top: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = top[name]
    _require(isinstance(section, Mapping), f"{name} is a {type(section).__name__}", "it is a mapping")
    return section


def _complete(given: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """All fields of a section; keys that the official files hold without effect are dropped by name."""
    for name in given:
        if name not in defaults and name not in UNUSED:
            raise ConfigError(
                f"{prefix}{name} is not a field of the official config; {did_you_mean(name, defaults)}",
                rule="every key is known by name, so that none is ignored by mistake",
                remedy="correct or remove it",
            )
    return {name: given.get(name, default) for name, default in defaults.items()}


def _require(holds: bool, problem: str, rule: str, remedy: str | None = None) -> None:
    if not holds:
        raise ConfigError(problem, rule=rule, remedy=remedy)


def _require_official(holds: bool, path: str, value: Any) -> None:
    _require(
        holds,
        f"{path} {value!r} cannot be written to an official config.json",
        "the official code has no field for it",
        "save in vlkit's own format, or use the official parts",
    )
