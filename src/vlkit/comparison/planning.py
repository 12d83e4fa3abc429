"""A study before it begins: every variant validated and described, while nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlkit.comparison.factors import Factor, assignments, resolve_factors
from vlkit.comparison.text_table import columns
from vlkit.comparison.variants import Variant, make_variant, repeat
from vlkit.description import describe
from vlkit.description.report import as_flops, as_number
from vlkit.errors import ConfigError, VlkitError
from vlkit.training.ingredients import Ingredients, config_of, gather
from vlkit.training.launch import as_recipe
from vlkit.training.plan import LOOKED_AT, make_plan
from vlkit.training.recipe import FREE, Recipe
from vlkit.training.source import SampleSource

MOST_RUNS = 4096
MOST_SEEDS = 1000
ROWS_OF_A_RUN, CHECKPOINTS_OF_A_RUN = 40, 4
"""So many rows of the metrics, and checkpoints, a run has at least, if it has as many steps."""


@dataclass(frozen=True)
class Costs:
    """What a variant costs; None where a part does not tell.

    Args:
        parameters: of the model.
        trained: of these, how many train.
        tokens: that a picture as large as the first of the data takes.
        flops: of encoder, projector and prefill for that picture alone.
    """

    parameters: int | None
    trained: int
    tokens: int
    flops: int | None


@dataclass(frozen=True)
class PlannedVariant:
    """A variant that can be trained, or why it cannot.

    Args:
        variant: what it is.
        costs: None if it cannot be trained.
        refusal: why not.
    """

    variant: Variant
    costs: Costs | None
    refusal: VlkitError | None


@dataclass(frozen=True)
class Study:
    """What is to be trained and compared; as text, a table of the variants.

    Args:
        recipe: that all variants begin with.
        factors: what is varied.
        seeds: repeats of each variant.
        grid: whether all values meet all others.
        planned: all variants, the baseline first.
    """

    recipe: Recipe
    factors: tuple[Factor, ...]
    seeds: int
    grid: bool
    planned: tuple[PlannedVariant, ...]

    @property
    def variants(self) -> tuple[PlannedVariant, ...]:
        """Those that are trained."""
        return tuple(planned for planned in self.planned if planned.refusal is None)

    @property
    def runs(self) -> list[tuple[Variant, int, Recipe]]:
        """Variant, number of the repeat and recipe of each run; all variants have a repeat before any has the next."""
        return [
            (planned.variant, number, repeat(planned.variant.recipe, number))
            for number in range(self.seeds)
            for planned in self.variants
            if planned.variant.recipe is not None
        ]

    def __str__(self) -> str:
        rows = [("", "parameters", "trained", "tokens per picture", "FLOPs to read it")]
        rows += [
            (
                planned.variant.name,
                as_number(planned.costs.parameters),
                as_number(planned.costs.trained),
                as_number(planned.costs.tokens),
                as_flops(planned.costs.flops),
            )
            for planned in self.planned
            if planned.costs is not None
        ]
        left_out = [f"left out: {each.variant.name}: {each.refusal.problem}" for each in self.planned if each.refusal]
        runs = f"{len(self.variants)} variants x {self.seeds} seeds = {len(self.variants) * self.seeds} runs"
        return "\n".join([*columns(rows), *left_out, f"{runs} of {self.recipe.steps:,} steps"])


def plan_study(
    recipe: Recipe | Mapping[str, Any] | str | Path,
    vary: Mapping[str, Iterable[Any]],
    *,
    seeds: int = 3,
    steps: int | None = None,
    grid: bool = True,
    skip_invalid: bool = False,
    source: SampleSource | None = None,
    held_out: SampleSource | None = None,
    evaluated: bool = False,
) -> Study:
    """Study of a recipe; arguments as in `compare`.

    Raises:
        ConfigError: if a name or value is not valid, two variants are the same, or variants cannot be trained and none
            may be left out; the baseline never may.
    """
    chosen = _for_study(as_recipe(recipe), steps)
    if not 1 <= seeds <= MOST_SEEDS:
        raise ConfigError(f"seeds {seeds}", rule=f"1 to {MOST_SEEDS} repeats of each variant")
    factors = resolve_factors(chosen, vary)
    numbers = assignments(factors, grid=grid)
    if len(numbers) * seeds > MOST_RUNS:
        raise ConfigError(f"{len(numbers)} variants of {seeds} seeds", rule=f"at most {MOST_RUNS} runs")
    variants = [make_variant(chosen, factors, number) for number in numbers]
    planned = tuple(_planned(variant, source=source, held_out=held_out, evaluated=evaluated) for variant in variants)
    _require_different(planned)
    _require_valid(planned, skip_invalid=skip_invalid)
    return Study(chosen, factors, seeds, grid, planned)


def _for_study(recipe: Recipe, steps: int | None) -> Recipe:
    """The recipe with other steps, and with rows and checkpoints enough for a short run."""
    steps = steps or recipe.steps
    return recipe.replace(
        steps=steps,
        log_every=min(recipe.log_every, max(steps // ROWS_OF_A_RUN, 1)),
        save_every=min(recipe.save_every, max(steps // CHECKPOINTS_OF_A_RUN, 1)),
        keep=1,
    )


def _planned(variant: Variant, **given: Any) -> PlannedVariant:
    if variant.recipe is None:
        return PlannedVariant(variant, None, variant.refusal)
    try:
        found = gather(variant.recipe, **given)
        make_plan(variant.recipe, found)
        return PlannedVariant(variant, _costs(variant.recipe, found), None)
    except VlkitError as error:
        return PlannedVariant(variant, None, error)


def _costs(recipe: Recipe, found: Ingredients) -> Costs:
    about = describe(found.config, image_sizes=[_first_size(recipe, found)], new_tokens=0)
    parts = (about.flops.encoder, about.flops.projector, about.flops.prefill)
    known = [part for part in parts if part is not None]
    return Costs(
        parameters=about.parameters.total,
        trained=sum(group.count for group in found.groups if group.trains),
        tokens=about.context.image_tokens,
        flops=sum(known) if len(known) == len(parts) else None,
    )


def _first_size(recipe: Recipe, found: Ingredients) -> tuple[int, int]:
    """Width and height of the first picture of the data; those of a tile if the first samples have none."""
    for index in range(LOOKED_AT if found.source.count is None else min(LOOKED_AT, found.source.count)):
        try:
            images = found.source.sample(index).images
        except VlkitError:
            if recipe.batching.bad_samples == "refuse":
                raise
            continue
        if images:
            return images[0].size
    return found.config.tile_size


def _require_different(planned: Iterable[PlannedVariant]) -> None:
    seen: dict[str, str] = {}
    for variant in (each.variant for each in planned if each.refusal is None):
        assert variant.recipe is not None
        name = seen.setdefault(_written_out(variant.recipe), variant.name)
        if name != variant.name:
            raise ConfigError(
                f"{name} and {variant.name} are the same recipe",
                rule="variants differ in what is learned",
                remedy="leave one of the values out",
            )


def _written_out(recipe: Recipe) -> str:
    """All that decides what is learned; a model that is a table names nothing that is so anyway."""
    same = recipe.replace(model=config_of(recipe)) if isinstance(recipe.model, dict) else recipe
    return json.dumps(same.model_dump(mode="json", exclude=set(FREE)), sort_keys=True)


def _require_valid(planned: tuple[PlannedVariant, ...], *, skip_invalid: bool) -> None:
    refused = [each for each in planned if each.refusal is not None]
    if not refused or (skip_invalid and planned[0].refusal is None):
        return
    lines = [f"- {each.variant.name}: {each.refusal}" for each in refused]
    raise ConfigError(
        f"{len(refused)} of {len(planned)} variants cannot be trained:\n" + "\n".join(lines),
        rule="all variants are valid before the first one trains, the baseline in any case",
        remedy="correct or drop these values, or skip what is not valid (--skip-invalid, skip_invalid=True)",
    )
