"""Causal language models of transformers: built from content that is not trusted, and known without weights."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from vlkit.cache.base import KVCache
from vlkit.decoders.hf_cache import LayerSteps, keeps_keys_and_values, transformers_cache
from vlkit.decoders.hf_head import body_name
from vlkit.errors import CheckpointError, ConfigError
from vlkit.foreign import building
from vlkit.foreign.extras import load_extra, refusals_of
from vlkit.foreign.hf_config import LIBRARY, content_of, parse_content, read_content, require_all


class Facts(NamedTuple):
    """What is known of a model without its weights; the names are those of `DecoderConfig`."""

    dim: int
    num_layers: int
    vocabulary: int
    max_positions: int | None
    stop_ids: tuple[int, ...]
    padding_id: int | None


def text_config(content: Mapping[str, Any]) -> Any:
    """A new transformers config of the language model that this content describes, or is a part of it.

    Raises:
        ConfigError: if there is none.
    """
    with refusals_of(LIBRARY, "config"):
        config = parse_content(content).get_text_config(decoder=True)
    if type(config) not in load_extra(LIBRARY).MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ConfigError(
            f"model_type {config.model_type!r} is no causal language model",
            rule="a decoder predicts the next token",
            remedy="take one that AutoModelForCausalLM of transformers has",
        )
    return config


def make_causal_lm(content: Mapping[str, Any]) -> Any:
    """New model with this content.

    Raises:
        ConfigError: if transformers cannot build it.
    """
    config = text_config(content)
    with refusals_of(LIBRARY, f"model of model_type {config.model_type!r} cannot be built"):
        return load_extra(LIBRARY).AutoModelForCausalLM.from_config(
            config, dtype=torch.get_default_dtype(), trust_remote_code=False
        )


def load_causal_lm(
    name_or_path: str | Path, *, revision: str | None, dtype: torch.dtype | None
) -> tuple[dict[str, Any], Any]:
    """Content and model of a checkpoint; its ends of text are those of `generation_config.json` if that names them.

    Raises:
        ConfigError: if transformers is missing or does not know the model.
        CheckpointError: if files are missing or damaged, or lack weights of the model.
    """
    content = read_content(name_or_path, revision=revision)
    text = text_config(content)
    if text.model_type != content["model_type"]:
        content = content_of(text)
    with refusals_of(LIBRARY, f"{name_or_path} cannot be loaded", error=CheckpointError):
        lm, report = load_extra(LIBRARY).AutoModelForCausalLM.from_pretrained(
            str(name_or_path),
            revision=revision,
            config=text,
            dtype=dtype or "auto",
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    require_all(name_or_path, report)
    ends = {name: getattr(lm.generation_config, name) for name in ("eos_token_id", "pad_token_id")}
    content |= {name: value for name, value in ends.items() if value is not None}
    return content, lm


def facts_of(content: Mapping[str, Any]) -> Facts:
    """What is known of the model with this content.

    Raises:
        ConfigError: if there is no such model, or it can be no decoder.
    """
    return _facts(json.dumps(content, sort_keys=True))


def cached_vectors_of(content: Mapping[str, Any]) -> Mapping[int, int]:
    """Vectors that its cache keeps per token, how many of each width; none if that cannot be told without weights."""
    return _cached_vectors(json.dumps(content, sort_keys=True))


def pass_arguments(lm: Any) -> Mapping[str, Any]:
    """The arguments that the model's body takes."""
    return inspect.signature(lm.get_submodule(body_name(lm) or "").forward).parameters


def cache_argument(accepted: Mapping[str, Any]) -> str:
    """Which of them is the cache: transformers changed its name."""
    return "cache" if "cache" in accepted else "past_key_values"


def has_experts(config: Any) -> bool:
    """Whether a transformers config speaks of more than one expert."""
    numbers = {name: value for name, value in config.to_dict().items() if "expert" in name and isinstance(value, int)}
    return any(value > 1 for value in numbers.values())


@lru_cache(maxsize=256)
def _facts(content: str) -> Facts:
    lm = building.survey(lambda: make_causal_lm(json.loads(content)))
    with refusals_of(LIBRARY, f"{type(lm).__name__} cannot be a decoder"):
        _require_decoder(lm)
        embedding, config = lm.get_input_embeddings(), lm.config
        ends = getattr(config, "eos_token_id", None)
        rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
        longest = getattr(config, "max_position_embeddings", None)
        return Facts(
            dim=embedding.embedding_dim,
            num_layers=config.num_hidden_layers,
            vocabulary=embedding.num_embeddings,
            max_positions=None if "dynamic" in (rope.get("rope_type"), rope.get("type")) else longest,
            stop_ids=() if ends is None else tuple(ends) if isinstance(ends, list | tuple) else (ends,),
            padding_id=getattr(config, "pad_token_id", None),
        )


@lru_cache(maxsize=256)
def _cached_vectors(content: str) -> Mapping[int, int]:
    """Counted after a pass over one position without numbers; in bfloat16, which experts want."""
    facts = _facts(content)
    lm = building.survey(lambda: make_causal_lm(json.loads(content)).bfloat16())
    cache = KVCache(facts.num_layers)
    argument = {cache_argument(pass_arguments(lm)): transformers_cache(LayerSteps(cache)), "use_cache": True}
    try:
        with torch.device("meta"), torch.no_grad():
            lm.get_submodule(body_name(lm))(
                inputs_embeds=torch.empty(1, 1, facts.dim, dtype=torch.bfloat16), **argument
            )
    except Exception:  # some models look at numbers on their way, and there are none
        return {}
    widths = (
        tensor.shape[-1] for layer in cache.layers for tensor in layer.tensors for _ in range(tensor[..., 0].numel())
    )
    return dict(Counter(widths))


def _require_decoder(lm: Any) -> None:
    config, accepted = lm.config, pass_arguments(lm)
    encoder = type(config) in load_extra(LIBRARY).MODEL_FOR_MASKED_LM_MAPPING or config.model_type == "bert-generation"
    problems = {
        "has no body apart from its head": body_name(lm) is None,
        "takes no embeddings": "inputs_embeds" not in accepted,
        "keeps states that are no keys and values": lm._is_stateful or not keeps_keys_and_values(config),
        "has no cache of the common form": cache_argument(accepted) not in accepted,
        "sees later tokens": not getattr(config, "is_causal", True)
        or (encoder and not getattr(config, "is_decoder", False)),
        "embeds each token once per layer": bool(getattr(config, "hidden_size_per_layer_input", None)),
    }
    for problem, found in problems.items():
        if found:
            raise ConfigError(
                f"{type(lm).__name__} {problem}",
                rule="a decoder here is causal, takes embeddings, and keeps keys and values that can be cut back",
                remedy="use the model in transformers itself, or another one here",
            )
