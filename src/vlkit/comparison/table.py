"""A comparison as text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vlkit.comparison.statistics import Estimate
from vlkit.comparison.text_table import columns
from vlkit.description.report import as_flops, as_number

if TYPE_CHECKING:
    from vlkit.comparison.results import Comparison, Row

WIDTH = 100


def report(comparison: Comparison) -> str:
    """The whole table."""
    sections = [_costs(comparison)]
    for measure in comparison.measures:
        rows = [row for row in comparison.rows if row.measure == measure]
        sections.append([f"{measure.title}: {measure.about}", *_estimates(rows, comparison.baseline)])
    notes = [line for note in _notes(comparison) for line in textwrap.wrap(note, WIDTH)]
    return "\n\n".join("\n".join(lines) for lines in [*sections, notes])


def _costs(comparison: Comparison) -> list[str]:
    rows = [("", "parameters", "tokens per picture", "FLOPs to read it")]
    for variant in comparison.trained:
        assert variant.costs is not None
        costs = variant.costs
        rows.append((variant.name, as_number(costs.parameters), as_number(costs.tokens), as_flops(costs.flops)))
    return columns(rows)


def _estimates(rows: list[Row], baseline: str) -> list[str]:
    cells = [("", "mean", "sd", "95 % interval", "difference", "95 % interval", "")]
    largest = max((abs(value) for row in rows for value in row.values.values()), default=0.0)
    digits = next(digits for limit, digits in ((100, 4), (10_000, 2), (math.inf, 0)) if largest < limit)
    for row in rows:
        difference = ("baseline", "") if row.variant == baseline else _difference(row.difference, digits)
        runs = "" if row.estimate is None or row.estimate.count == _most(rows) else f"{row.estimate.count} runs only"
        verdict = ", ".join(text for text in (row.verdict, runs) if text)
        cells.append((row.variant, *_mean(row.estimate, digits), *difference, verdict))
    return columns(cells)


def _most(rows: list[Row]) -> int:
    return max(len(row.values) for row in rows)


def _mean(estimate: Estimate | None, digits: int) -> tuple[str, str, str]:
    if estimate is None:
        return "failed", "", ""
    spread = "" if estimate.spread is None else f"{estimate.spread:,.{digits}f}"
    return f"{estimate.mean:,.{digits}f}", spread, _interval(estimate, f",.{digits}f")


def _difference(estimate: Estimate | None, digits: int) -> tuple[str, str]:
    if estimate is None:
        return "", ""
    return f"{estimate.mean:+,.{digits}f}", _interval(estimate, f"+,.{digits}f")


def _interval(estimate: Estimate, form: str) -> str:
    if estimate.low is None or estimate.high is None:
        return "all equal" if estimate.count > 1 else ""
    return f"{estimate.low:{form}} to {estimate.high:{form}}"


def _notes(comparison: Comparison) -> Iterator[str]:
    seeds = comparison.seeds
    if seeds == 1:
        yield "One seed: there is no spread, and no difference can be told from chance. Take --seeds 3 or more."
    else:
        yield (
            f"{seeds} seeds, {comparison.recipe['steps']:,} steps each. Differences are paired by seed: both runs of a "
            "pair saw the same samples in the same order. Intervals are Student's, over seeds; the held-out samples "
            "are the same in all runs."
        )
    compared = sum(row.difference is not None and row.difference.sign is not None for row in comparison.rows)
    if compared > 1:
        yield f"{compared} differences at 95 %: by chance alone about {0.05 * compared:.1g} of them look real."
    if comparison.recipe.get("batching", {}).get("arrangement", "padded") != "padded":
        yield "Batches are arranged by length, so variants of other lengths have them in another order."
    for variant in comparison.variants:
        if variant.left_out is not None:
            yield f"Left out: {variant.name}: {variant.left_out}"
    for run in comparison.runs:
        if run.failed is not None:
            yield f"Failed: {run.variant}, repeat {run.repeat}: {run.failed}"
    if comparison.unfinished > 0:
        yield f"{comparison.unfinished} runs have not ended yet; the same command goes on with them."
