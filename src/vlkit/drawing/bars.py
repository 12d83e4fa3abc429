"""Bars side by side: several models by several measures, each measure on a scale of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from vlkit.drawing.canvas import FAINT, MUTED, Canvas, text_width
from vlkit.drawing.captions import Legend
from vlkit.errors import InputError
from vlkit.notation import Size
from vlkit.tiling import Box

COLORS = ("#4f46e5", "#0d9488", "#f59e0b", "#e11d48", "#0284c7", "#9333ea")
"""Colours of the models, in their order."""
WIDTH, MARGIN = 900, 36
BAR, GAP, LABEL = 18, 16, 200
TITLE_HEIGHT = 64


class Bars(NamedTuple):
    """One measure.

    Args:
        name: what is measured.
        values: one per model; None where unknown.
        texts: the values as people read them.
    """

    name: str
    values: Sequence[float | None]
    texts: Sequence[str]


def draw_bars(names: Sequence[str], measures: Sequence[Bars], *, title: str, scale: int = 2) -> Image.Image:
    """Picture of the measures, one below the other; the longest bar of each is its largest value.

    Args:
        names: of the models.
        measures: what is compared.
        title: first line.
        scale: pixels per unit; the picture is 900 units wide.

    Raises:
        InputError: if there are more models than colours.
    """
    if not 0 < len(names) <= len(COLORS):
        raise InputError(f"{len(names)} models", rule=f"1 to {len(COLORS)} can be drawn side by side")
    group = len(names) * BAR + GAP
    legend = Legend(list(zip(COLORS, names)), width=WIDTH - 2 * MARGIN)
    upper = TITLE_HEIGHT + legend.height + GAP
    canvas = Canvas(Size(WIDTH, upper + group * len(measures) + MARGIN // 2), scale=scale)
    canvas.text(MARGIN, 22, title, size=22)
    legend.draw(canvas, MARGIN, TITLE_HEIGHT)
    for number, measure in enumerate(measures):
        _draw_measure(canvas, measure, upper + number * group)
    return canvas.image


def _draw_measure(canvas: Canvas, measure: Bars, upper: int) -> None:
    bars = len(measure.values) * BAR
    canvas.text(MARGIN, upper + bars / 2, measure.name, size=14, color=MUTED, anchor="lm")
    left, room = MARGIN + LABEL, WIDTH - 2 * MARGIN - LABEL
    room -= round(max(text_width(text, 13) for text in measure.texts)) + 12
    largest = max((value for value in measure.values if value), default=0)
    canvas.rectangle(Box(left - 1, upper, left, upper + bars), fill=FAINT)
    for row, (value, text, color) in enumerate(zip(measure.values, measure.texts, COLORS)):
        length = max(round(room * value / largest), 1) if value and largest else 0
        top = upper + row * BAR
        if length:
            canvas.rectangle(Box(left, top + 2, left + length, top + BAR - 2), fill=color, radius=2)
        canvas.text(left + length + 8, top + BAR / 2, text, size=13, anchor="lm")
