"""Configs of transformers as plain mappings: where they come from is not trusted, and no code comes with them."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vlkit.errors import CheckpointError, ConfigError, did_you_mean
from vlkit.foreign.extras import load_extra, refusals_of

LIBRARY = "transformers"
CARRIES_CODE = frozenset({
    "architecture", "attn_implementation", "auto_map", "backbone", "custom_pipelines", "experts_implementation",
    "quantization_config", "use_pretrained_backbone", "use_timm_backbone",
})  # fmt: skip
"""Keys that could bring code, kernels or other weights with them."""
OF_THE_FILE = frozenset(
    {"architectures", "auto_map", "custom_pipelines", "dtype", "torch_dtype", "transformers_version"}
)
"""Keys of a checkpoint's `config.json` that say how it was written, not what the model is."""
LARGEST: Mapping[str, int] = {
    "layer": 2**10, "depth": 2**10, "position": 2**30, "theta": 2**40, "freq": 2**40, "base": 2**40
}  # fmt: skip
"""Largest whole number under keys with such a part."""
LARGEST_OTHERWISE = 2**24
MAX_ENTRIES, MAX_DEPTH = 2**16, 16
"""Most entries of a config, and most levels that they are nested in."""


def check_content(content: Mapping[str, Any]) -> None:
    """Refuse what is no content of a transformers config, or asks for code or for more than any machine has.

    Raises:
        ConfigError: naming the key, the rule and the remedy.
    """
    for count, (key, value) in enumerate(_entries("config", content, depth=0)):
        name = key.rpartition(".")[2]
        if (name in CARRIES_CODE or name.startswith("_")) and value:
            raise ConfigError(
                f"{key} is {reprlib.repr(value)}",
                rule="a config says what a model is; code, kernels, quantisation and other weights do not come with it",
                remedy="remove the key",
            )
        most = next((most for part, most in LARGEST.items() if part in name), LARGEST_OTHERWISE)
        if isinstance(value, int) and abs(value) > most:
            raise ConfigError(f"{key} is {value}", rule=f"whole numbers here are at most {most}")
        if not isinstance(value, Mapping | list | tuple | str | int | float | None):
            raise ConfigError(f"{key} is a {type(value).__name__}", rule="a config holds JSON values")
        if count == MAX_ENTRIES:
            raise ConfigError(f"config has over {MAX_ENTRIES} entries", rule="a config is small")
    kinds, kind = load_extra(LIBRARY).CONFIG_MAPPING, content.get("model_type")
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(
            f"config.model_type is {kind!r}; {did_you_mean(str(kind), kinds)}",
            rule="it is one that the installed transformers knows, since code of a checkpoint is never run",
            remedy="correct it, or install a transformers that has it",
        )


def parse_content(content: Mapping[str, Any]) -> Any:
    """A new transformers config with this content.

    Raises:
        ConfigError: if the content is refused, here or by transformers.
    """
    check_content(content)
    with refusals_of(LIBRARY, f"config of model_type {content['model_type']!r}"):
        return load_extra(LIBRARY).AutoConfig.for_model(**content)


def read_content(name_or_path: str | Path, *, revision: str | None) -> dict[str, Any]:
    """Content of the `config.json` of a folder or hub id, less what says how it was written or names code.

    Raises:
        ConfigError: if transformers is missing.
        CheckpointError: if there is none.
    """
    transformers = load_extra(LIBRARY)
    with refusals_of(LIBRARY, f"{name_or_path} has no readable config.json", error=CheckpointError):
        content, _ = transformers.PretrainedConfig.get_config_dict(str(name_or_path), revision=revision)
    return _without(content, OF_THE_FILE)


def content_of(config: Any) -> dict[str, Any]:
    """The same of a transformers config."""
    return _without(json.loads(config.to_json_string()), OF_THE_FILE)


def require_all(name_or_path: str | Path, report: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that does not hold all weights of its model.

    Args:
        name_or_path: the checkpoint.
        report: what transformers tells of loading it.

    Raises:
        CheckpointError: naming the first one.
    """
    if missing := sorted(report["missing_keys"]):
        raise CheckpointError(
            f"{name_or_path} lacks {len(missing)} weights, {missing[0]!r} first",
            rule="a checkpoint holds all weights of the model",
            remedy="check that it is complete, and a checkpoint of this very model",
        )


def _without(value: Any, keys: frozenset[str]) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without(inner, keys) for key, inner in value.items() if key not in keys and not key.startswith("_")}


def _entries(key: str, value: Any, *, depth: int) -> Iterator[tuple[str, Any]]:
    """Every value with the keys that lead to it, containers before what is in them; items of a list share its keys."""
    if depth > MAX_DEPTH:
        raise ConfigError(f"{key} is nested too deeply", rule=f"a config has at most {MAX_DEPTH} levels")
    yield key, value
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _entries(f"{key}.{name}", inner, depth=depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _entries(key, inner, depth=depth + 1)
