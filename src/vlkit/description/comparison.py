"""Several models side by side: what the same prompt costs each of them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from vlkit.description.description import Description
from vlkit.description.report import WIDTH, as_bytes, as_flops, as_number
from vlkit.errors import InputError

LABEL_WIDTH = 22


class Measure(NamedTuple):
    """One line of a comparison.

    Args:
        name: what is measured.
        values: its value for each model; None where unknown.
        texts: the values as people read them.
    """

    name: str
    values: tuple[int | None, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Descriptions side by side; printed, it is a table.

    Args:
        names: of the models.
        descriptions: of the models, in the same order.
    """

    names: tuple[str, ...]
    descriptions: tuple[Description, ...]

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Parameters, tokens, operations and bytes of all models."""
        every = self.descriptions
        return (
            _measure("parameters", as_number, [each.parameters.total for each in every]),
            _measure("active parameters", as_number, [each.parameters.active for each in every]),
            _measure("image tokens", as_number, [each.context.image_tokens for each in every]),
            _measure("encoder FLOPs", as_flops, [each.flops.encoder for each in every]),
            _measure("projector FLOPs", as_flops, [each.flops.projector for each in every]),
            _measure("prefill FLOPs", as_flops, [each.flops.prefill for each in every]),
            _measure("decode FLOPs per token", as_flops, [each.flops.decode for each in every]),
            _measure("weights", as_bytes, [each.memory.weights for each in every]),
            _measure("KV cache", as_bytes, [each.memory.cache for each in every]),
            _measure("peak memory, estimate", as_bytes, [each.memory.peak for each in every]),
            _measure("read per new token", as_bytes, [each.memory.read_per_token for each in every]),
        )

    def __str__(self) -> str:
        rows = [("", self.names), *((measure.name, measure.texts) for measure in self.measures)]
        column = 2 + max(len(text) for _, texts in rows for text in texts)
        lines = [f"{label:<{LABEL_WIDTH}}" + "".join(f"{text:>{column}}" for text in texts) for label, texts in rows]
        chains = [f"{name}: {' -> '.join(each.parts)}" for name, each in zip(self.names, self.descriptions)]
        wrapped = [line for chain in chains for line in textwrap.wrap(chain, WIDTH, subsequent_indent="  ")]
        return "\n".join([*wrapped, "", *lines])


def compare(descriptions: Mapping[str, Description]) -> Comparison:
    """Descriptions side by side, by the names of their models.

    Raises:
        InputError: if there is none.
    """
    if not descriptions:
        raise InputError("nothing to compare", rule="a comparison has at least one description")
    return Comparison(tuple(descriptions), tuple(descriptions.values()))


def _measure(name: str, show: Callable[[int | None], str], values: list[int | None]) -> Measure:
    return Measure(name, tuple(values), tuple(show(value) for value in values))
