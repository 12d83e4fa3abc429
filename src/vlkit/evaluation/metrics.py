"""The measures by name: what one sample adds to each, and for which samples they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from vlkit.errors import InputError, did_you_mean
from vlkit.evaluation.boxes import BoxMatch, match_boxes
from vlkit.evaluation.intervals import Ratio
from vlkit.evaluation.normalization import TextNormalization
from vlkit.evaluation.text_metrics import anls, character_errors, exact_match
from vlkit.processing import grounded, parse

IOU_THRESHOLD = 0.5
"""Overlap from which a box is found."""

Measure: TypeAlias = Callable[[str, Sequence[str], TextNormalization], Ratio]
"""What an answer adds, given the references and what counts as the same text."""


@dataclass(frozen=True)
class Metric:
    """A measure: the sum of what the samples add, part over whole.

    Args:
        name: what it is called in results.
        about: what it says, in a few words.
        measure: gives what one sample adds.
        grounded: True for samples whose reference holds boxes, False for those whose reference is plain text, None
            for all; the others do not count.
        higher_is_better: which way is good.
    """

    name: str
    about: str
    measure: Measure
    grounded: bool | None = None
    higher_is_better: bool = True

    def applies(self, references: Sequence[str]) -> bool:
        """Whether samples with these references count."""
        return self.grounded is None or any(map(grounded, references)) == self.grounded


def _exact(answer: str, references: Sequence[str], same: TextNormalization) -> Ratio:
    return Ratio(exact_match(same(answer), [*map(same, references)]), 1)


def _anls(answer: str, references: Sequence[str], same: TextNormalization) -> Ratio:
    return Ratio(anls(same(answer).lower(), [same(reference).lower() for reference in references]), 1)


def _errors(answer: str, references: Sequence[str], same: TextNormalization) -> Ratio:
    return Ratio(*character_errors(same(answer), [*map(same, references)]))


def _matched(answer: str, references: Sequence[str], same: TextNormalization) -> BoxMatch:
    """Match with the reference that the answer overlaps most."""
    named = parse(answer).objects
    matches = [match_boxes(named, parse(reference).objects, normalize=same) for reference in references]
    return max(matches, key=lambda match: sum(match.overlaps) / max(match.expected, 1))


def _overlap(answer: str, references: Sequence[str], same: TextNormalization) -> Ratio:
    match = _matched(answer, references, same)
    return Ratio(sum(match.overlaps), match.expected)


def _accuracy(answer: str, references: Sequence[str], same: TextNormalization) -> Ratio:
    match = _matched(answer, references, same)
    return Ratio(match.hits(IOU_THRESHOLD), match.expected)


def _precision(answer: str, references: Sequence[str], same: TextNormalization) -> Ratio:
    match = _matched(answer, references, same)
    return Ratio(match.hits(IOU_THRESHOLD), match.answered)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("exact_match", "answers that are a reference", _exact, grounded=False),
            Metric("anls", "similarity to the nearest reference, case ignored", _anls, grounded=False),
            Metric(
                "character_error_rate",
                "edits over characters of the reference",
                _errors,
                grounded=False,
                higher_is_better=False,
            ),
            Metric("box_iou", "overlap of the reference's boxes, 0 for those not found", _overlap, grounded=True),
            Metric("box_accuracy", "reference's boxes found with IoU of 0.5 or more", _accuracy, grounded=True),
            Metric("box_precision", "answer's boxes that find one with IoU of 0.5 or more", _precision, grounded=True),
        )
    }
)
"""All measures of the library by name."""


def resolve_metrics(metrics: Sequence[str | Metric] | None) -> tuple[Metric, ...]:
    """The measures meant; None: all of the library.

    Raises:
        InputError: if there is no measure of that name, none is given, or two have one name.
    """
    chosen = tuple(METRICS.values()) if metrics is None else tuple(map(_resolved, metrics))
    names = [metric.name for metric in chosen]
    if not names or len(set(names)) < len(names):
        raise InputError(f"metrics are {names}", rule="at least one measure, each of another name")
    return chosen


def _resolved(metric: str | Metric) -> Metric:
    if isinstance(metric, Metric):
        return metric
    if metric not in METRICS:
        raise InputError(f"no metric is called {metric!r:.80}; {did_you_mean(str(metric), METRICS)}")
    return METRICS[metric]
