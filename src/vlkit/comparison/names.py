"""Short names of fields: every field of a recipe and of its model by the shortest name that stays clear."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from vlkit.builder import KINDS
from vlkit.config import Config
from vlkit.errors import ConfigError, did_you_mean
from vlkit.models.auto import resolve_config
from vlkit.training.parts import PartTraining
from vlkit.training.recipe import FREE, Recipe

NOT_VARIED = frozenset({"seed", "save_every", "log_every", "keep", "device"})
"""Fields that are no variants: they belong to the repeats, or change no weight."""


def known_paths(recipe: Recipe, vary: Mapping[str, tuple[Any, ...]]) -> frozenset[str]:
    """Full names of all fields that can be meant: those of the recipe, its model, and of parts that are varied."""
    paths = set(_paths(recipe, tags=True)) | {
        f"parts.{kind}.{name}" for kind in KINDS for name in PartTraining.model_fields
    }
    if recipe.model is not None:
        paths |= {f"model.{path}" for path in _paths(resolve_config(recipe.model))}
    for kind, (registry, _, _) in KINDS.items():
        for spec in (*vary.get(kind, ()), *vary.get(f"model.{kind}", ())):
            tag = str(spec.get("type") if isinstance(spec, Mapping) else spec)
            if tag in registry:
                paths |= {f"model.{kind}.{name}" for name in registry[tag].model_fields}
    return frozenset(paths)


def resolve_name(name: str, paths: frozenset[str]) -> str:
    """Full name of the field that is meant.

    A full name is itself; one of the model's needs no "model."; of all others any end that only one field has will do,
    where those of `parts` come last: "lr" is the optimiser's, "encoder.lr" that of a part.

    Args:
        name: as the user wrote it.
        paths: all full names.

    Raises:
        ConfigError: if no field or several have that name, or it is not to be varied.
    """
    found = _found(name, paths) or _in_new_table(name, paths)
    if len(found) > 1:
        raise ConfigError(
            f"{name!r:.80} is the name of {len(found)} fields: {', '.join(found[:8])}",
            rule="a short name belongs to one field",
            remedy="write more of it",
        )
    if not found:
        raise ConfigError(f"no field of the recipe or its model is called {name!r:.80}; {_nearest(name, paths)}")
    if found[0] in NOT_VARIED | FREE:
        raise ConfigError(
            f"{found[0]} is varied",
            rule="variants differ in what is learned, and every variant has the same seeds",
            remedy="leave it out; the number of seeds is given beside the factors",
        )
    return found[0]


def _found(name: str, paths: frozenset[str]) -> list[str]:
    for exact in (name, f"model.{name}"):
        if exact in paths:
            return [exact]
    ending = sorted(path for path in paths if path.endswith(f".{name}"))
    return [path for path in ending if not path.startswith("parts.")] or ending


def _in_new_table(name: str, paths: frozenset[str]) -> list[str]:
    """Full name of a field in a table that is not there yet, such as the experts of a dense decoder, or none."""
    table, _, field = name.rpartition(".")
    while table:
        found = _found(table, paths)
        if len(found) == 1 and not any(path.startswith(f"{found[0]}.") for path in paths):
            return [f"{found[0]}.{field}"]
        table, _, above = table.rpartition(".")
        field = f"{above}.{field}"
    return []


def _nearest(name: str, paths: frozenset[str]) -> str:
    """The full name whose end is nearest, written as short as the user's."""
    length = name.count(".") + 1
    ends = {".".join(path.split(".")[-length:]) for path in paths}
    return did_you_mean(name, difflib.get_close_matches(name, ends, n=1) or {*KINDS, *Recipe.model_fields} - {"seed"})


def _paths(config: BaseModel, above: str = "", *, tags: bool = False) -> Iterator[str]:
    """Full names of the fields of a config and of configs in it; a tag stands for its part, so it is none."""
    for name in type(config).model_fields:
        path = f"{above}{name}"
        if tags or name != "type":
            yield path
        value = getattr(config, name)
        if isinstance(value, Config):
            yield from _paths(value, f"{path}.", tags=tags)
