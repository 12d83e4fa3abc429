"""The variants of a recipe: the same but for what is varied, each with the same seeds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlkit.builder import KINDS
from vlkit.comparison.factors import Factor
from vlkit.errors import VlkitError
from vlkit.models.auto import resolve_config
from vlkit.training.overrides import model_table, with_value
from vlkit.training.recipe import Recipe

STRIDE = 1_000_003
"""From one repeat to the next a source's own seed moves on so far: past the held-out samples' seed beside it."""
SEEDS = 2**31
LONGEST_FOLDER = 80


@dataclass(frozen=True)
class Variant:
    """One variant.

    Args:
        name: what it differs in, as people read it.
        settings: value of each factor, as text, by the factor's name.
        recipe: of its first repeat; None if there can be no such recipe.
        refusal: why there can be none.
    """

    name: str
    settings: Mapping[str, str]
    recipe: Recipe | None
    refusal: VlkitError | None = None

    @property
    def folder(self) -> str:
        """Name of its folder, of letters that every system allows."""
        plain = re.sub(r"[^\w.=,()-]+", "_", self.name.replace(", ", ","), flags=re.ASCII).strip(".")
        if plain == self.name.replace(", ", ",") and len(plain) <= LONGEST_FOLDER:
            return plain
        return f"{plain[:LONGEST_FOLDER]}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"


def make_variant(recipe: Recipe, factors: Sequence[Factor], chosen: Sequence[int]) -> Variant:
    """Variant with the chosen value of each factor; whole parts are exchanged before fields in them are set.

    Args:
        recipe: that all variants begin with.
        factors: what is varied.
        chosen: number of the value of each factor.
    """
    settings = {factor.name: factor.texts[number] for factor, number in zip(factors, chosen)}
    name = ", ".join(f"{key}={text}" for key, text in settings.items())
    values = sorted(
        ((factor.path, factor.values[number]) for factor, number in zip(factors, chosen)),
        key=lambda pair: pair[0].count("."),
    )
    try:
        content = recipe.model_dump(mode="json", exclude_defaults=True) | {"steps": recipe.steps}
        for path, value in values:
            content = with_value(content, path, _exchanged(content, path, value))
        return Variant(name, settings, Recipe.model_validate(content))
    except VlkitError as error:
        return Variant(name, settings, None, error)


def repeat(recipe: Recipe, number: int) -> Recipe:
    """Recipe of a repeat: another seed for weights and order, and for samples that are made on demand other samples.

    Held-out samples are the same in all repeats. Repeat 0 is the recipe as it is.
    """
    if not number:
        return recipe
    content = recipe.model_dump(mode="json", exclude_none=True)
    content["seed"] = (recipe.seed + number) % SEEDS
    if "data" in content:
        content["data"] = _reseeded(content["data"], number)
    return Recipe.model_validate(content)


def _exchanged(content: Mapping[str, Any], path: str, value: Any) -> Any:
    """A value for a path; what was set on a part stays set on the one that takes its place, if it has such fields."""
    kind = path.removeprefix("model.")
    if path == kind or kind not in KINDS or not isinstance(value, str | Mapping):
        return value
    given = {"type": value} if isinstance(value, str) else dict(value)
    model = content["model"]
    old = getattr(resolve_config(model_table(model) if isinstance(model, str) else model), kind)
    if "type" not in given:
        given = {"type": old.type, **given}
    known = KINDS[kind][0][given["type"]].model_fields
    kept = {name: each for name, each in old.model_dump(mode="json", exclude_defaults=True).items() if name in known}
    return {**kept, **given}


def _reseeded(data: Any, number: int) -> Any:
    """Config of a source whose seeds have moved on, those of sources in it too."""
    if isinstance(data, list):
        return [_reseeded(each, number) for each in data]
    if not isinstance(data, dict):
        return data
    moved = {
        name: _reseeded(value, number) if isinstance(value, dict | list) else value for name, value in data.items()
    }
    if isinstance(data.get("seed"), int):
        moved["seed"] = (data["seed"] + number * STRIDE) % SEEDS
    return moved
