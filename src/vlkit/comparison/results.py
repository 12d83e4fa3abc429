"""What a study found: numbers of every run, and from them means, spreads and paired differences."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from vlkit.comparison.measures import Measure
from vlkit.comparison.picture import draw_comparison
from vlkit.comparison.planning import Costs
from vlkit.comparison.statistics import Estimate
from vlkit.comparison.table import report
from vlkit.errors import CheckpointError, InputError
from vlkit.files import read_json, write_bytes, write_json

FORMAT = 1
"""Version of `comparison.json`."""


@dataclass(frozen=True)
class ComparedVariant:
    """A variant as it is written down.

    Args:
        name: what it differs in.
        folder: where its runs are, below the folder of the study.
        settings: value of each factor, as text.
        costs: None if it was left out.
        left_out: why, if it was.
    """

    name: str
    folder: str
    settings: dict[str, str]
    costs: Costs | None
    left_out: str | None = None


@dataclass(frozen=True)
class VariantRun:
    """One run.

    Args:
        variant: its name.
        repeat: number of the repeat; the runs of one repeat saw the same samples in the same order.
        seed: of the recipe.
        numbers: what was measured, by name; empty if the run failed.
        curve: step and training loss.
        held_out_curve: step and loss on held-out samples.
        seconds: that the training took.
        tokens: that were learned from.
        failed: why there are no numbers, if there are none.
    """

    variant: str
    repeat: int
    seed: int
    numbers: dict[str, float]
    curve: list[tuple[int, float]]
    held_out_curve: list[tuple[int, float]]
    seconds: float
    tokens: int
    failed: str | None = None


@dataclass(frozen=True)
class Row:
    """One variant by one measure.

    Args:
        variant: its name.
        measure: what was measured.
        values: number of each repeat that has one.
        estimate: of the mean; None if no run has a number.
        difference: of the mean difference to the baseline, repeat by repeat; None for the baseline itself.
    """

    variant: str
    measure: Measure
    values: dict[int, float]
    estimate: Estimate | None
    difference: Estimate | None

    @property
    def verdict(self) -> str:
        """What the difference says: "better" or "worse", "higher" or "lower" where no way is good, "not told apart"."""
        sign = None if self.difference is None else self.difference.sign
        if not sign:
            return "" if sign is None else "not told apart"
        if self.measure.higher_is_better is None:
            return "higher" if sign > 0 else "lower"
        return "better" if (sign > 0) == self.measure.higher_is_better else "worse"


@dataclass(frozen=True)
class Comparison:
    """A study and its numbers; printed, it is a table.

    Args:
        recipe: that all variants begin with, as JSON values.
        factors: full name and values, as text, of each factor by its name.
        grid: whether all values met all others.
        seeds: repeats that were asked for.
        judge: what was measured besides the losses.
        measures: what the numbers are.
        variants: the baseline first.
        runs: those that ended.
    """

    recipe: dict[str, Any]
    factors: dict[str, tuple[str, tuple[str, ...]]]
    grid: bool
    seeds: int
    judge: dict[str, Any]
    measures: list[Measure]
    variants: list[ComparedVariant]
    runs: list[VariantRun]
    format: int = FORMAT

    @property
    def baseline(self) -> str:
        """Name of the variant that the others are compared with."""
        return self.variants[0].name

    @property
    def trained(self) -> list[ComparedVariant]:
        """Variants that were not left out."""
        return [variant for variant in self.variants if variant.left_out is None]

    @property
    def unfinished(self) -> int:
        """Runs that have not ended yet."""
        return len(self.trained) * self.seeds - len(self.runs)

    @cached_property
    def rows(self) -> list[Row]:
        """Every variant by every measure."""
        return [self._row(variant.name, measure) for measure in self.measures for variant in self.trained]

    def row(self, variant: str, measure: str) -> Row:
        """One of the rows.

        Raises:
            InputError: if there is none.
        """
        for row in self.rows:
            if (row.variant, row.measure.name) == (variant, measure):
                return row
        raise InputError(f"no variant {variant!r:.80} was measured by {measure!r:.80}")

    def table(self) -> str:
        """The table as text: costs, then each measure with means, spreads and differences."""
        return report(self)

    def __str__(self) -> str:
        return self.table()

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values, `rows` for the reader's convenience."""
        rows = [
            {"variant": row.variant, "measure": row.measure.name, "verdict": row.verdict}
            | TypeAdapter(dict[str, Estimate | None]).dump_python({"mean": row.estimate, "difference": row.difference})
            for row in self.rows
        ]
        content: dict[str, Any] = TypeAdapter(type(self)).dump_python(self, mode="json")
        return {**content, "rows": rows}

    def save(self, path: str | Path) -> None:
        """Write `to_dict` as JSON; the file that was there stays until the new one is whole.

        Raises:
            CheckpointError: if it cannot be written.
        """
        write_json(path, self.to_dict())

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Comparison that `save` wrote, or the one in the folder of a study.

        Raises:
            CheckpointError: if it cannot be read, or is no comparison.
        """
        path = Path(path)
        path = path / "comparison.json" if path.is_dir() else path
        content = read_json(path)
        content.pop("rows", None)
        if content.get("format") != FORMAT:
            raise CheckpointError(f"{path} has the format {content.get('format')!r:.40}", rule=f"it is {FORMAT}")
        try:
            return TypeAdapter(cls).validate_python(content)
        except ValidationError as error:
            wrong = ", ".join(".".join(map(str, each["loc"])) for each in error.errors()[:8])
            raise CheckpointError(f"{path} is no comparison: {wrong}", remedy="write it anew by the command") from None

    def save_plot(self, path: str | Path, *, title: str | None = None) -> None:
        """Draw means with their intervals, differences and curves as a PNG file.

        Raises:
            InputError: if no run has a number, or the file does not end in .png.
            CheckpointError: if it cannot be written.
        """
        path, buffer = Path(path), io.BytesIO()
        if path.suffix.lower() != ".png":
            raise InputError(f"{str(path)!r} is not a PNG file", rule="pictures are written as .png")
        draw_comparison(self, title=title).save(buffer, format="PNG")
        write_bytes(path, buffer.getvalue())

    def numbers_of(self, variant: str, measure: str) -> dict[int, float]:
        """Number of each repeat that has one."""
        return {
            run.repeat: run.numbers[measure]
            for run in self.runs
            if run.variant == variant and measure in run.numbers and run.repeat < self.seeds
        }

    def _row(self, variant: str, measure: Measure) -> Row:
        values, baseline = (self.numbers_of(name, measure.name) for name in (variant, self.baseline))
        paired = [values[number] - baseline[number] for number in sorted(values) if number in baseline]
        difference = None if variant == self.baseline else Estimate.of(paired)
        return Row(variant, measure, values, Estimate.of(list(values.values())), difference)
