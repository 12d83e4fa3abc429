"""Single settings of a recipe, written as `optimizer.lr=1e-3`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from vlkit.checkpoint import holds_weights
from vlkit.errors import ConfigError
from vlkit.models.auto import resolve_config


def with_overrides(content: Mapping[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """Content of a recipe with other settings.

    Args:
        content: fields of a recipe; it stays as it is.
        settings: each a path of field names with dots between, `=`, and a value as in TOML; a text needs no quotes.
            A path may lead into a model that the recipe names as a preset or a config file.

    Raises:
        ConfigError: if a setting has another form, or its path leads into a value.
    """
    changed = dict(content)
    for setting in settings:
        path, sign, text = setting.partition("=")
        steps = [step.strip() for step in path.split(".")]
        if not sign or not all(steps):
            raise ConfigError(
                f"{setting!r:.80} is no setting", rule="a setting is key=value", remedy="for instance optimizer.lr=1e-3"
            )
        changed = _changed(changed, steps, parse_value(text.strip()), setting, top=True)
    return changed


def with_value(content: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Content of a recipe with another value at one path, as `with_overrides` reads paths.

    Raises:
        ConfigError: if the path leads into a value.
    """
    return _changed(content, path.split("."), value, f"{path}={value}", top=True)


def parse_value(text: str) -> Any:
    """Value as TOML writes it, or the text itself if it is none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _changed(content: Mapping[str, Any], steps: list[str], value: Any, setting: str, *, top: bool) -> dict[str, Any]:
    first, rest = steps[0], steps[1:]
    if not rest:
        return {**content, first: value}
    inner = content.get(first, {})
    if isinstance(inner, str):
        inner = model_table(inner) if top and first == "model" else {"type": inner}
    if not isinstance(inner, Mapping):
        raise ConfigError(f"{setting!r:.80}: {first} is {inner!r:.40}", rule="a path leads through tables")
    return {**content, first: _changed(inner, rest, value, setting, top=False)}


def model_table(model: str) -> dict[str, Any]:
    """Config of a preset or a file as a table.

    Raises:
        ConfigError: if it is a checkpoint, or no config.
    """
    if holds_weights(model):
        raise ConfigError(
            f"model {model!r:.80} is a checkpoint", rule="the parts of trained weights cannot be changed by a setting"
        )
    return resolve_config(model).model_dump(mode="json", exclude_defaults=True)
