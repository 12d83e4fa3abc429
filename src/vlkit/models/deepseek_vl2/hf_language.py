"""The official `language_config` of DeepSeek-V2 decoders in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlkit.config import Config
from vlkit.decoders import DeepseekV2Config, MHAConfig, MLAConfig, MoEConfig
from vlkit.models.deepseek_vl2.hf_fields import LANGUAGE_DEFAULTS, UNUSED
from vlkit.models.official import complete, require, require_official

SPECIAL_IDS = {129280: (0, 1), 102400: (100000, 100001)}
"""Begin and end token of the released vocabularies; the official class default is wrong for the larger one."""


def decoder_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `DeepseekV2Config` from the content of a `language_config`.

    Raises:
        ConfigError: if it has unknown keys, or asks for what there is not.
    """
    language = complete(given, LANGUAGE_DEFAULTS, prefix="language_config.", unused=UNUSED)
    for name, value in {"hidden_act": "silu", "attention_dropout": 0.0, "lm_head": True, "rm_head": False}.items():
        require(language[name] == value, f"language_config.{name} {language[name]!r}", f"only {value!r} is supported")
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
    require(
        language["topk_method"] != "gready",
        "language_config.topk_method 'gready'",
        "the official default is misspelt and fails in the official router, so it must be given",
        "'greedy', 'group_limited_greedy' or 'noaux_tc'",
    )
    groups = {name: language[name] or 1 for name in ("n_group", "topk_group")}
    return _shared(MoEConfig, language) | groups


def official_language(decoder: Any) -> dict[str, Any]:
    """Content of a `language_config`, every field spelled out.

    Raises:
        ConfigError: if the official code has no field for something in this config.
    """
    require_official(isinstance(decoder, DeepseekV2Config), "decoder", decoder.type)
    attention, moe = decoder.attention, decoder.moe
    fields = LANGUAGE_DEFAULTS | _known(decoder) | _known(attention)
    if decoder.pad_token_id is None:
        fields["pad_token_id"] = next((token for token in decoder.stop_ids if token < decoder.vocab_size), None)
    if isinstance(attention, MHAConfig):
        require_official(attention.head_dim is None, "decoder.attention.head_dim", attention.head_dim)
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
