"""What an evaluation gives: every answer, the measures with their intervals, and both as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from vlkit.errors import InputError, did_you_mean
from vlkit.evaluation.intervals import Ratio, Score
from vlkit.evaluation.metrics import Metric
from vlkit.evaluation.normalization import TextNormalization
from vlkit.evaluation.questions import Question
from vlkit.files import write_json


@dataclass(frozen=True)
class Result:
    """One sample.

    Args:
        index: its number in the source.
        origin: where it comes from.
        group: name of its group.
        question: what the user said last.
        references: right answers.
        answer: what the model said.
        scores: what it adds to each measure that it counts for.
    """

    index: int
    origin: str
    group: str
    question: str
    references: tuple[str, ...]
    answer: str
    scores: Mapping[str, Ratio]

    @classmethod
    def of(
        cls, question: Question, answer: str, *, metrics: Sequence[Metric], normalization: TextNormalization
    ) -> Self:
        """Result of an answer to a question, measured."""
        scores = {
            metric.name: metric.measure(answer, question.references, normalization)
            for metric in metrics
            if metric.applies(question.references)
        }
        return cls(question.index, question.origin, question.group, question.text, question.references, answer, scores)


@dataclass(frozen=True)
class Skipped:
    """A sample that could not be used, and why."""

    index: int
    origin: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """Answers and measures of a set.

    Args:
        metrics: what was measured.
        normalization: what counted as the same text.
        results: one per answered sample, in the order of the source.
        skipped: samples that could not be used.
        settings: how the answers were made, as JSON values.
    """

    metrics: tuple[Metric, ...]
    normalization: TextNormalization
    results: tuple[Result, ...]
    skipped: tuple[Skipped, ...]
    settings: Mapping[str, Any]

    @cached_property
    def scores(self) -> dict[str, Score]:
        """Each measure of all samples."""
        return self._scores(self.results)

    @cached_property
    def groups(self) -> dict[str, dict[str, Score]]:
        """Each measure of every group, the groups by name."""
        names = sorted({result.group for result in self.results})
        return {name: self._scores([result for result in self.results if result.group == name]) for name in names}

    def _scores(self, results: Sequence[Result]) -> dict[str, Score]:
        return {
            metric.name: Score.of([result.scores[metric.name] for result in results if metric.name in result.scores])
            for metric in self.metrics
        }

    def worst(self, most: int, *, metric: str | None = None) -> list[Result]:
        """Results that are not perfect, the worst first.

        Args:
            most: how many at most.
            metric: by which measure; None: by the first that a sample counts for.

        Raises:
            InputError: if it was not measured.
        """
        known = {each.name: each for each in self.metrics}
        if metric is not None and metric not in known:
            raise InputError(f"{metric!r:.80} was not measured; {did_you_mean(metric, known)}")
        faults = []
        for result in self.results:
            name = metric or next((each for each in known if each in result.scores), "")
            if name not in result.scores:
                continue
            ratio, higher = result.scores[name], known[name].higher_is_better
            value = ratio.part / ratio.whole if ratio.whole else float(higher)
            fault = 1 - value if higher else value
            if fault > 0:
                faults.append((-fault, result.index, result))
        return [result for _, _, result in sorted(faults, key=lambda fault: fault[:2])[:most]]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "metrics": {metric.name: metric.about for metric in self.metrics},
            "normalization": self.normalization.model_dump(mode="json"),
            "settings": dict(self.settings),
            "samples": len(self.results),
            "scores": {name: asdict(score) for name, score in self.scores.items()},
            "groups": {
                group: {name: asdict(score) for name, score in scores.items()} for group, scores in self.groups.items()
            },
            "skipped": [asdict(skipped) for skipped in self.skipped],
            "results": [_as_json(result) for result in self.results],
        }

    def save(self, path: str | Path) -> None:
        """Write `to_dict` as JSON; the file that was there stays until the new one is whole.

        Raises:
            CheckpointError: if it cannot be written.
        """
        write_json(path, self.to_dict())

    def __str__(self) -> str:
        rows = [("", "samples", "value", "95 % interval"), *self.rows()]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = [
            "  ".join(
                cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(zip(row, widths))
            )
            for row in rows
        ]
        skipped = [f"skipped: {len(self.skipped)}"] if self.skipped else []
        return "\n".join([*lines, f"text: {self.normalization}", *skipped])

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Lines of the table: measures of all samples, below each those of the groups, if there are several."""
        rows: list[tuple[str, str, str, str]] = []
        groups = self.groups if len(self.groups) > 1 else {}
        for name, score in self.scores.items():
            if score.samples:
                rows.append((name, *score.cells))
                rows += [
                    (f"  {group}", *scores[name].cells) for group, scores in groups.items() if scores[name].samples
                ]
        return rows


def _as_json(result: Result) -> dict[str, Any]:
    scores = {name: {"part": float(ratio.part), "whole": float(ratio.whole)} for name, ratio in result.scores.items()}
    return {**asdict(result), "references": list(result.references), "scores": scores}
