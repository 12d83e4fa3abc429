"""Curves over a common axis, in panels one below the other: how numbers change as something goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from vlkit.drawing.canvas import FAINT, MUTED, Canvas
from vlkit.drawing.captions import Legend
from vlkit.errors import InputError
from vlkit.notation import Size
from vlkit.tiling import Box

COLORS = ("#4f46e5", "#e11d48", "#0d9488", "#f59e0b", "#0284c7", "#9333ea")
"""Colours of the curves of a panel, in their order."""
WIDTH, MARGIN, TITLE_HEIGHT = 900, 36, 64
LABELS, PANEL, AXIS, GAP = 64, 230, 30, 26
MOST_DOTS = 60
"""Curves with more points have none of them marked."""


class Curve(NamedTuple):
    """Points that belong together.

    Args:
        name: in the legend.
        points: place and value, from left to right; values that are not finite are left out.
    """

    name: str
    points: Sequence[tuple[float, float]]


class Panel(NamedTuple):
    """Curves with one scale of values.

    Args:
        curves: not more than six.
        least: value that the scale begins with; None: near the least value.
    """

    curves: Sequence[Curve]
    least: float | None = None


def draw_curves(panels: Sequence[Panel], *, title: str, axis: str, scale: int = 2) -> Image.Image:
    """Picture of the panels; all have the same places from left to right.

    Args:
        panels: from above to below.
        title: first line.
        axis: what the places are.
        scale: pixels per unit; the picture is 900 units wide.

    Raises:
        InputError: if there is no panel, or one has no curves or more than there are colours.
    """
    if not panels or not all(0 < len(panel.curves) <= len(COLORS) for panel in panels):
        raise InputError(
            f"panels with {[len(panel.curves) for panel in panels]} curves", rule=f"each has 1 to {len(COLORS)}"
        )
    places = [place for panel in panels for curve in panel.curves for place, _ in _finite(curve)]
    across = ticks(min(places, default=0.0), max(places, default=1.0))
    legends = [
        Legend([(color, curve.name) for color, curve in zip(COLORS, panel.curves)], width=WIDTH - 2 * MARGIN)
        for panel in panels
    ]
    height = TITLE_HEIGHT + sum(legend.height + PANEL + AXIS + GAP for legend in legends)
    canvas = Canvas(Size(WIDTH, height), scale=scale)
    canvas.text(MARGIN, 22, title, size=22)
    upper = TITLE_HEIGHT
    for panel, legend in zip(panels, legends):
        legend.draw(canvas, MARGIN, upper)
        upper += legend.height + 8
        _draw_panel(canvas, panel, across, Box(MARGIN + LABELS, upper, WIDTH - MARGIN, upper + PANEL), axis)
        upper += PANEL + AXIS + GAP - 8
    return canvas.image


def ticks(least: float, most: float, *, about: int = 5) -> list[float]:
    """Round numbers, evenly spaced, of which the first is at most `least` and the last at least `most`."""
    if not most > least:
        least, most = least - (abs(least) or 1) / 2, least + (abs(least) or 1) / 2
    rough = (most - least) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _draw_panel(canvas: Canvas, panel: Panel, across: Sequence[float], box: Box, axis: str) -> None:
    values = [value for curve in panel.curves for _, value in _finite(curve)]
    lowest = min(values, default=0.0) if panel.least is None else panel.least
    up = ticks(lowest, max(values, default=1.0))
    left, upper, right, lower = box

    def at(place: float, value: float) -> tuple[float, float]:
        x = left + (right - left) * (place - across[0]) / (across[-1] - across[0])
        return x, lower - (lower - upper) * (value - up[0]) / (up[-1] - up[0])

    for value in up:
        _, y = at(across[0], value)
        canvas.line([(left, y), (right, y)], color=FAINT)
        canvas.text(left - 10, y, f"{value:g}", size=13, color=MUTED, anchor="rm")
    for number, place in enumerate(across):
        x, _ = at(place, up[0])
        label = f"{axis} {place:g}" if number == 0 else f"{place:,g}" if place < 1e6 else f"{place:g}"
        canvas.text(x, lower + 8, label, size=13, color=MUTED, anchor="ra" if number == len(across) - 1 else "ma")
    for color, curve in reversed(list(zip(COLORS, panel.curves))):
        points = [at(*point) for point in _finite(curve)]
        if len(points) > 1:
            canvas.line(points, color=color, width=1.5)
        if len(points) <= MOST_DOTS:
            for x, y in points:
                canvas.dot(x, y, color=color, radius=3)


def _finite(curve: Curve) -> list[tuple[float, float]]:
    return [(place, value) for place, value in curve.points if math.isfinite(value)]
