"""A law: a promise that every part of a kind makes, and the function that puts a part to the test."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Test = Callable[[Any], str | None]
"""Takes the subject; raises `Broken` or `Skipped`, or returns a remark about a promise that was not made."""


class Broken(Exception):  # noqa: N818
    """The law does not hold.

    Args:
        problem: what was seen, with the values in it.
        likely: the mistake that most often causes it.
        remedy: what the author can do about it.
    """

    def __init__(self, problem: str, *, likely: str | None = None, remedy: str | None = None) -> None:
        super().__init__(problem)
        self.problem, self.likely, self.remedy = problem, likely, remedy


class Skipped(Exception):  # noqa: N818
    """The law says nothing about this part, or was not asked for; the text is the reason."""


@dataclass(frozen=True)
class Law:
    """One promise.

    Args:
        name: by which reports, tests and `skip` call it.
        rule: the promise in one sentence.
        test: how it is put to the test.
        weights: whether a part with numbers is needed, so that a large config cannot be tested.
        first: whether the laws after it say nothing once it is broken.
        crash: the mistake that is likely if the part raises an error of another kind.
    """

    name: str
    rule: str
    test: Test
    weights: bool = True
    first: bool = False
    crash: str | None = None


def law(*, weights: bool = True, first: bool = False, crash: str | None = None) -> Callable[[Test], Law]:
    """Decorator that makes a function the law of its name; its docstring is the rule."""

    def make(test: Test) -> Law:
        rule = " ".join(inspect.cleandoc(test.__doc__ or "").split())
        return Law(test.__name__, rule, test, weights=weights, first=first, crash=crash)

    return make


def told(error: Exception, most: int = 200) -> str:
    """First line of what an error says, or its name."""
    lines = str(error).strip().splitlines()
    return f"{lines[0] if lines else type(error).__name__:.{most}}"
