"""What is varied: a field of the recipe or of its model, and the values that it takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlkit.comparison.names import known_paths, resolve_name
from vlkit.config import Config
from vlkit.errors import ConfigError
from vlkit.training.overrides import parse_value
from vlkit.training.recipe import Recipe

OPENING, CLOSING = "([{", ")]}"
MOST_VALUES = 64
"""Most values of one factor."""


@dataclass(frozen=True)
class Factor:
    """One thing that is varied.

    Args:
        name: as the user calls it, such as "layout" or "lr".
        path: full name in the recipe, such as "model.layout" or "optimizer.lr".
        values: the first is that of the baseline.
    """

    name: str
    path: str
    values: tuple[Any, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as people read them."""
        return tuple(map(value_text, self.values))


def parse_factor(text: str) -> tuple[str, list[Any]]:
    """Name and values of a factor as on the command line: "layout=2D,1D".

    Values are those of TOML, with commas between them; a text needs no quotes.

    Raises:
        ConfigError: if it has another form.
    """
    name, sign, values = text.partition("=")
    parts = [part.strip() for part in _split(values)]
    if not name.strip() or not sign or not all(parts):
        raise ConfigError(
            f"{text!r:.80} is nothing to vary",
            rule="a name, =, and values with commas between them",
            remedy="for instance layout=2D,1D or lr=1e-3,3e-3",
        )
    return name.strip(), [parse_value(part) for part in parts]


def resolve_factors(recipe: Recipe, vary: Mapping[str, Iterable[Any]]) -> tuple[Factor, ...]:
    """Factors with their full names.

    Args:
        recipe: whose fields, and whose model's fields, are meant.
        vary: values by name, full or as short as it stays clear.

    Raises:
        ConfigError: if nothing is varied, a name is not known or not clear, two mean the same, or a factor has no, too
            many or equal values.
    """
    given = {name: _as_values(name, values) for name, values in vary.items()}
    if not given:
        raise ConfigError("nothing is varied", rule="variants differ in something", remedy="for instance layout=2D,1D")
    paths = known_paths(recipe, given)
    factors = tuple(Factor(name, resolve_name(name, paths), values) for name, values in given.items())
    for factor in factors:
        same = [other.name for other in factors if other.path == factor.path]
        if len(same) > 1:
            raise ConfigError(f"{' and '.join(same)} both mean {factor.path}", rule="a field is varied once")
        if len(set(factor.texts)) < len(factor.texts):
            raise ConfigError(f"{factor.name} takes a value twice: {', '.join(factor.texts)}", rule="variants differ")
    return factors


def value_text(value: Any) -> str:
    """A value in a few characters: a part of several fields as "mlp_gelu(depth=2)"."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        inner = [f"{name}={value_text(each)}" for name, each in value.items() if name != "type"]
        return f"{value.get('type', '')}({', '.join(inner)})" if inner else str(value.get("type", "()"))
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _as_values(name: str, values: Iterable[Any]) -> tuple[Any, ...]:
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise ConfigError(f"{name} is varied over {values!r:.80}", rule="a list of values", remedy=f"[{values!r:.40}]")
    made = tuple(
        value.model_dump(mode="json", exclude_defaults=True) if isinstance(value, Config) else value for value in values
    )
    if not 0 < len(made) <= MOST_VALUES:
        raise ConfigError(f"{name} is varied over {len(made)} values", rule=f"1 to {MOST_VALUES}")
    return made


def _split(text: str) -> Iterator[str]:
    """Pieces between commas that are in no brackets and no quotes."""
    piece, depth, quote = "", 0, ""
    for char in text:
        if char == "," and not depth and not quote:
            yield piece
            piece = ""
            continue
        piece += char
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        else:
            depth += (char in OPENING) - (char in CLOSING)
    yield piece


def assignments(factors: Sequence[Factor], *, grid: bool) -> list[tuple[int, ...]]:
    """Which value each factor has in each variant, the baseline (all first values) first.

    Args:
        factors: what is varied.
        grid: whether every value meets every other; if not, one factor at a time differs from the baseline.
    """
    if grid:
        made: list[tuple[int, ...]] = [()]
        for factor in factors:
            made = [(*before, number) for before in made for number in range(len(factor.values))]
        return made
    baseline = (0,) * len(factors)
    alone = [
        (*baseline[:place], number, *baseline[place + 1 :])
        for place, factor in enumerate(factors)
        for number in range(1, len(factor.values))
    ]
    return [baseline, *alone]
