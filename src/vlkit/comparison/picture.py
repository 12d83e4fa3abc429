"""A comparison as a picture: dots with intervals, and below them the curves of the losses."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from vlkit.comparison.statistics import Estimate
from vlkit.drawing import Curve, Panel, draw_curves
from vlkit.drawing.curves import COLORS
from vlkit.drawing.dots import Dot, Dots, draw_dots
from vlkit.drawing.stacking import stacked
from vlkit.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from vlkit.comparison.results import Comparison, Row

CURVES = {
    "curve": "Loss of training, means over the seeds",
    "held_out_curve": "Loss on held-out samples, means over the seeds",
}
"""Curves of a run, and what is said of them."""


def draw_comparison(comparison: Comparison, *, title: str | None = None) -> Image.Image:
    """Picture of a comparison; its curves are means over the seeds.

    Args:
        comparison: what is drawn.
        title: first line; None: what is varied.

    Raises:
        InputError: if no run has a number.
    """
    names = [variant.name for variant in comparison.trained]
    measures = [
        Dots(
            row[0].measure.title,
            [_dot(each.estimate, list(each.values.values())) for each in row],
            [_dot(each.difference, _singles(comparison, each)) for each in row] if len(row) > 1 else (),
        )
        for row in _by_measure(comparison)
    ]
    if not measures:
        raise InputError("no run has a number", rule="what is drawn was measured", remedy="train first")
    told = title or f"{', '.join(comparison.factors)}: {comparison.seeds} seeds, {comparison.recipe['steps']:,} steps"
    above = draw_dots(names, measures, title=told)
    below = [
        draw_curves(panels, title=caption, axis="step")
        for kind, caption in CURVES.items()
        if (panels := _panels(comparison, names, kind))
    ]
    return stacked([above, *below])


def _by_measure(comparison: Comparison) -> list[list[Row]]:
    grouped = [[row for row in comparison.rows if row.measure == measure] for measure in comparison.measures]
    return [rows for rows in grouped if any(row.estimate is not None for row in rows)]


def _dot(estimate: Estimate | None, singles: list[float]) -> Dot:
    return Dot(None) if estimate is None else Dot(estimate.mean, estimate.low, estimate.high, singles)


def _singles(comparison: Comparison, row: Row) -> list[float]:
    """Difference of each repeat."""
    baseline = comparison.numbers_of(comparison.baseline, row.measure.name)
    return [value - baseline[number] for number, value in row.values.items() if number in baseline]


def _panels(comparison: Comparison, names: list[str], kind: str) -> list[Panel]:
    """Panels of one kind of curve, each with as many variants as there are colours."""
    curves = [Curve(name, _mean_curve(comparison, name, kind)) for name in names]
    if max(len(curve.points) for curve in curves) < 2:
        return []
    groups = [curves[start : start + len(COLORS)] for start in range(0, len(curves), len(COLORS))]
    return [Panel(group) for group in groups]


def _mean_curve(comparison: Comparison, name: str, kind: str) -> list[tuple[float, float]]:
    """Mean over the seeds at each step that all of them have."""
    curves = [dict(getattr(run, kind)) for run in comparison.runs if run.variant == name and run.failed is None]
    steps = sorted(set.intersection(*map(set, curves))) if curves else []
    return [(step, fmean(curve[step] for curve in curves)) for step in steps]
