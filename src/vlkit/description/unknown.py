"""Arithmetic with whole numbers that may be unknown: None."""

from __future__ import annotations

from collections.abc import Iterable


def add(values: Iterable[int | None]) -> int | None:
    """Sum; unknown if one of the values is."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def multiply(count: int, each: int | None) -> int | None:
    """Product; nothing costs nothing, whatever each would cost."""
    return 0 if count == 0 else None if each is None else count * each


def larger(one: int | None, other: int | None) -> int | None:
    """The larger of two; unknown if one of them is."""
    return None if one is None or other is None else max(one, other)
