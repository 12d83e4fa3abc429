"""Rules between official names and ours: data that is read in both directions.

A rule never computes: our parameter, indexed as the rule says, *is* the official tensor.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from vlkit.errors import ConfigError

Shape = tuple[int, ...]
Index = tuple[int | slice | None, ...]


class Op(Protocol):
    """How our parameter differs from the official tensor; the shapes are None where the rule cannot hold."""

    def index(self, fields: Mapping[str, str]) -> Index:
        """Index at which our parameter is the official tensor with these fields."""

    def theirs_shape(self, ours: Shape) -> Shape | None:
        """Official shape for our shape."""

    def ours_shape(self, theirs: Shape, stacked: int) -> Shape | None:
        """Our shape for the official shape of one of `stacked` tensors."""


@dataclass(frozen=True)
class Same:
    """Both have the same shape."""

    def index(self, fields: Mapping[str, str]) -> Index:
        return ()

    def theirs_shape(self, ours: Shape) -> Shape | None:
        return ours

    def ours_shape(self, theirs: Shape, stacked: int) -> Shape | None:
        return theirs


@dataclass(frozen=True)
class Unsqueeze:
    """Official `[...]`, ours `[1, ...]`."""

    def index(self, fields: Mapping[str, str]) -> Index:
        return (0,)

    def theirs_shape(self, ours: Shape) -> Shape | None:
        return ours[1:] if ours[:1] == (1,) else None

    def ours_shape(self, theirs: Shape, stacked: int) -> Shape | None:
        return (1, *theirs)


@dataclass(frozen=True)
class Squeeze:
    """Official `[1, ...]`, ours `[...]`."""

    def index(self, fields: Mapping[str, str]) -> Index:
        return (None,)

    def theirs_shape(self, ours: Shape) -> Shape | None:
        return (1, *ours)

    def ours_shape(self, theirs: Shape, stacked: int) -> Shape | None:
        return theirs[1:] if theirs[:1] == (1,) else None


@dataclass(frozen=True)
class Stack:
    """Official tensors `[...]` numbered 0 and up by `field`, ours one `[number, ...]`."""

    field: str

    def index(self, fields: Mapping[str, str]) -> Index:
        return (int(fields[self.field]),)

    def theirs_shape(self, ours: Shape) -> Shape | None:
        return ours[1:] if ours and ours[0] else None

    def ours_shape(self, theirs: Shape, stacked: int) -> Shape | None:
        return (stacked, *theirs)


class Pattern:
    """Dotted name with fields: `{rest}` stands for one or more segments, any other field for a whole number.

    Examples:
        >>> Pattern("layers.{layer}.{rest}").match("layers.3.mlp.up.weight")
        {'layer': '3', 'rest': 'mlp.up.weight'}
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            parts = [(literal, field) for literal, field, _, _ in string.Formatter().parse(text)]
        except ValueError as error:
            raise ConfigError(f"{text!r} is not a pattern: {error}", rule="a field is written {name}") from None
        self.fields = tuple(field for _, field in parts if field is not None)
        if len(set(self.fields)) < len(self.fields) or not all(field.isidentifier() for field in self.fields):
            raise ConfigError(f"{text!r} is not a pattern", rule="fields have names, each of which occurs once")
        self._regex = re.compile("".join(re.escape(literal) + _regex_of(field) for literal, field in parts), re.ASCII)

    def match(self, name: str) -> dict[str, str] | None:
        """Fields of `name`, None if it does not follow the pattern."""
        found = self._regex.fullmatch(name)
        return found.groupdict() if found else None

    def fill(self, fields: Mapping[str, str]) -> str:
        """Name with these fields."""
        return self.text.format_map(fields)


def _regex_of(field: str | None) -> str:
    if field is None:
        return ""
    return f"(?P<{field}>{'.+' if field == 'rest' else '0|[1-9][0-9]{0,8}'})"


@dataclass(frozen=True)
class Rule:
    """One official name pattern and what it is here.

    Args:
        theirs: pattern of the official names.
        ours: pattern of our names; None for official tensors that are left out on purpose.
        op: how the shapes differ.
        part: `(i, n)`: the official tensor fills the i-th of n equal parts of our parameter, along its own first axis.

    Raises:
        ConfigError: if a pattern is malformed, a field is not found on both sides, or `part` is out of range or cannot
            be combined with `op`.
    """

    theirs: str
    ours: str | None
    op: Op = Same()
    part: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        number, parts = self.part
        if not 0 <= number < parts or (parts > 1 and isinstance(self.op, Squeeze)):
            raise ConfigError(
                f"part {self.part} of {self.theirs!r} does not exist",
                rule="part is (i, n) with 0 <= i < n; it divides the official tensor's first axis, which Squeeze drops",
            )
        stacked = (self.op.field,) if isinstance(self.op, Stack) else ()
        if self.ours is not None and sorted(self.theirs_pattern.fields) != sorted(self.ours_pattern.fields + stacked):
            raise ConfigError(
                f"the fields of {self.theirs!r} and {self.ours!r} differ",
                rule="a field stands on both sides, but for the one that Stack turns into an axis",
            )

    @cached_property
    def theirs_pattern(self) -> Pattern:
        """Pattern of the official names."""
        return Pattern(self.theirs)

    @cached_property
    def ours_pattern(self) -> Pattern:
        """Pattern of our names; that of the empty name if the rule leaves a tensor out."""
        return Pattern(self.ours or "")

    def index(self, fields: Mapping[str, str], theirs: Shape) -> Index:
        """Index at which our parameter is the official tensor of shape `theirs`."""
        number, parts = self.part
        rows = () if parts == 1 else (slice(number * theirs[0], (number + 1) * theirs[0]),)
        return (*self.op.index(fields), *rows)

    def theirs_shape(self, ours: Shape) -> Shape | None:
        """Shape of each official tensor for our shape, None if the rule cannot hold for it."""
        shape, parts = self.op.theirs_shape(ours), self.part[1]
        if parts == 1 or shape is None:
            return shape
        return (shape[0] // parts, *shape[1:]) if shape and shape[0] % parts == 0 else None

    def ours_shape(self, theirs: Shape, stacked: int) -> Shape | None:
        """Our shape for the official shape of one of `stacked` tensors, None if the rule cannot hold for it."""
        parts = self.part[1]
        if parts > 1:
            if not theirs:
                return None
            theirs = (theirs[0] * parts, *theirs[1:])
        return self.op.ours_shape(theirs, stacked)
