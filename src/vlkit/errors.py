"""Errors that a user's input can cause: each says the value, the rule it breaks and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_LISTED = 32
"""Most names that a message lists."""


class VlkitError(ValueError):
    """Base of every error that vlkit raises on purpose.

    Args:
        problem: what is wrong, with the offending value in it.
        rule: the rule that the value breaks.
        remedy: what the reader can do about it.
    """

    def __init__(self, problem: str, *, rule: str | None = None, remedy: str | None = None) -> None:
        lines = [problem]
        if rule:
            lines.append(f"  rule:   {rule}")
        if remedy:
            lines.append(f"  remedy: {remedy}")
        super().__init__("\n".join(lines))
        self.problem, self.rule, self.remedy = problem, rule, remedy


class ConfigError(VlkitError):
    """A config, or a pair of configs that must fit each other, is not valid."""


class RegistryError(VlkitError):
    """A part type is unknown, registered twice, or has no implementation."""


class ShapeError(VlkitError):
    """Tensors, or the images and text they stand for, do not fit each other."""


class InputError(VlkitError):
    """An image, a conversation or a file given by the user cannot be used."""


class CheckpointError(VlkitError):
    """A checkpoint is incomplete, damaged, or belongs to another model."""


class TrainingError(VlkitError):
    """A training run cannot begin, go on, or be resumed."""


class ContextLengthError(VlkitError):
    """A sequence is longer than the decoder's positions or the cache allow."""


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Sentence that names the nearest of `options`, or lists them, not more than 32, if none is near.

    Examples:
        >>> did_you_mean("liner", ["linear", "identity"])
        "did you mean 'linear'?"
    """
    known = sorted(set(options))
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not known:
        return "none is known"
    rest = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
    return f"known: {', '.join(map(repr, known[:MOST_LISTED]))}{rest}"
