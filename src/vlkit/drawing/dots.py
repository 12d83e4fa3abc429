"""Dots with intervals: several things by one measure, and beside it their differences to the first of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from vlkit.drawing.canvas import FAINT, INK, MUTED, PAPER, Canvas, text_width
from vlkit.drawing.curves import COLORS, MARGIN, TITLE_HEIGHT, WIDTH, ticks
from vlkit.errors import InputError
from vlkit.notation import Size
from vlkit.tiling import Box

ROW, HEADING, AXIS, GAP = 30, 34, 30, 14
LABEL, MOST_LABEL, BETWEEN, TEXT = 60, 300, 60, 13
"""Width of the names, the most of it, the gap between the two fields, and the size of the text."""


class Dot(NamedTuple):
    """One thing by one measure.

    Args:
        value: None if it is not known.
        low: lower end of its interval; None if it has none.
        high: its upper end.
        singles: what the value is the mean of.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    singles: Sequence[float] = ()


class Dots(NamedTuple):
    """One measure.

    Args:
        name: what is measured.
        values: one per thing.
        differences: of each thing to the first; one without a value stands for the first itself.
    """

    name: str
    values: Sequence[Dot]
    differences: Sequence[Dot] = ()


def draw_dots(
    names: Sequence[str], measures: Sequence[Dots], *, title: str, same_axis: bool = False, scale: int = 2
) -> Image.Image:
    """Picture of the measures, one below the other.

    Args:
        names: of the things.
        measures: what they are compared by.
        title: first line.
        same_axis: whether all measures share one axis, so that they can be compared; else each has its own.
        scale: pixels per unit; the picture is 900 units wide.

    Raises:
        InputError: if there is nothing, or a measure has not one value for each thing.
    """
    if not names or not measures or any(len(measure.values) != len(names) for measure in measures):
        raise InputError(
            f"{len(names)} names for {[len(measure.values) for measure in measures]} values",
            rule="every measure has a value for each thing, and there is one",
        )
    panel = HEADING + ROW * len(names) + AXIS + GAP
    canvas = Canvas(Size(WIDTH, TITLE_HEIGHT + panel * len(measures)), scale=scale)
    canvas.text(MARGIN, 22, title, size=22)
    label = min(max(LABEL, *(math.ceil(text_width(name, TEXT)) for name in [*names, ""])), MOST_LABEL)
    left = MARGIN + label + 20
    everything = [number for measure in measures for number in _numbers(measure.values)]
    for number, measure in enumerate(measures):
        upper = TITLE_HEIGHT + number * panel
        canvas.text(MARGIN, upper, measure.name, size=15)
        middle = (left + WIDTH - MARGIN - BETWEEN) // 2 if measure.differences else WIDTH - MARGIN
        rows = Box(left, upper + HEADING, middle, upper + HEADING + ROW * len(names))
        _draw_names(canvas, names, rows)
        _draw_field(canvas, measure.values, rows, across=_axis(everything if same_axis else _numbers(measure.values)))
        if measure.differences:
            beside = Box(middle + BETWEEN, rows.upper, WIDTH - MARGIN, rows.lower)
            canvas.text(beside.left, upper + 2, "difference to the first", size=TEXT, color=MUTED)
            across = _axis([*_numbers(measure.differences), 0.0])
            _draw_field(canvas, measure.differences, beside, across=across, zero=True)
    return canvas.image


def color_of(number: int) -> str:
    """Colour of a thing; from the seventh on they come again."""
    return COLORS[number % len(COLORS)]


def _draw_names(canvas: Canvas, names: Sequence[str], rows: Box) -> None:
    for number, name in enumerate(names):
        shown = name
        while text_width(shown, TEXT) > MOST_LABEL:
            shown = f"{shown.removesuffix('...')[:-1]}..."
        canvas.text(MARGIN, rows.upper + (number + 0.5) * ROW, shown, size=TEXT, anchor="lm")


def _numbers(dots: Sequence[Dot]) -> list[float]:
    """All finite numbers of the dots."""
    known = [number for dot in dots for number in (dot.value, dot.low, dot.high, *dot.singles) if number is not None]
    return [number for number in known if math.isfinite(number)]


def _axis(numbers: Sequence[float]) -> list[float]:
    """Marks of an axis that holds the numbers."""
    return ticks(min(numbers, default=0.0), max(numbers, default=1.0), about=4)


def _draw_field(canvas: Canvas, dots: Sequence[Dot], box: Box, *, across: Sequence[float], zero: bool = False) -> None:
    def at(value: float) -> float:
        return box.left + (box.right - box.left) * (value - across[0]) / (across[-1] - across[0])

    for place in across:
        canvas.line([(at(place), box.upper), (at(place), box.lower)], color=FAINT)
        canvas.text(at(place), box.lower + 6, f"{place:+g}" if zero and place else f"{place:g}", size=TEXT,
                    color=MUTED, anchor="ma")  # fmt: skip
    if zero:
        canvas.line([(at(0), box.upper), (at(0), box.lower)], color=INK)
    for number, dot in enumerate(dots):
        y, color = box.upper + (number + 0.5) * ROW, color_of(number)
        if dot.low is not None and dot.high is not None:
            canvas.line([(at(dot.low), y), (at(dot.high), y)], color=color, width=2)
            for end in (dot.low, dot.high):
                canvas.line([(at(end), y - 4), (at(end), y + 4)], color=color, width=2)
        if dot.value is not None:
            canvas.dot(at(dot.value), y, color=color, radius=5)
        for single in dot.singles:
            canvas.dot(at(single), y + 9, color=color, radius=2.5)
            canvas.dot(at(single), y + 9, color=PAPER, radius=1.2)
