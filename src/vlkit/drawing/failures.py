"""A sheet of samples that went wrong: each with its pictures, what is right, and what was answered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from vlkit.drawing.boxes import MarkedBox, mark
from vlkit.drawing.canvas import FAINT, INK, MUTED, Canvas
from vlkit.drawing.captions import Legend, draw_rule
from vlkit.drawing.lettering import Lettering
from vlkit.notation import Size
from vlkit.tiling import Box

RIGHT, ANSWERED = "#009e73", "#d55e00"
"""Colours of what is right and of what was answered; people with any kind of colour vision tell them apart."""
WIDTH, MARGIN, GAP = 960, 28, 20
PICTURE = Size(380, 260)
"""Room for the pictures of a sample."""
TITLE_HEIGHT, LETTERS, LINE = 62, 15, 21
MOST_PICTURES, MOST_LINES, MOST_TEXT = 4, 4, 1000


@dataclass(frozen=True)
class Failure:
    """A sample that went wrong.

    Args:
        pictures: of the sample; the first few are shown.
        origin: where it comes from.
        question: what was asked.
        reference: what is right.
        answer: what was answered.
        measures: what the answer is worth, in words.
        reference_boxes: in pixels of the only picture.
        answer_boxes: likewise.
    """

    pictures: Sequence[Image.Image]
    origin: str
    question: str
    reference: str
    answer: str
    measures: str = ""
    reference_boxes: Sequence[Box] = ()
    answer_boxes: Sequence[Box] = ()


def draw_failures(
    failures: Sequence[Failure], *, title: str, scale: int = 2, font: str | Path | None = None
) -> Image.Image:
    """Sheet with one line of pictures and texts for every failure.

    Letters that the font lacks are shown as their code points, so that a difference is never hidden.

    Args:
        failures: what is shown, from top to bottom.
        title: first line.
        scale: pixels per unit; the sheet is 960 units wide.
        font: TrueType or OpenType file; None: Pillow's own, which has the letters of ASCII.

    Raises:
        InputError: if the file is no font.
    """
    lettering = Lettering(LETTERS * scale, font)
    legend = Legend([(RIGHT, "reference"), (ANSWERED, "answer, boxes dashed")], width=WIDTH - 2 * MARGIN)
    cards = [_Card(failure, lettering, scale) for failure in failures]
    top = TITLE_HEIGHT + legend.height + GAP
    canvas = Canvas(Size(WIDTH, top + sum(card.height + 2 * GAP for card in cards) + GAP), scale=scale, font=font)
    heading = Lettering(22 * scale, font)
    canvas.text(MARGIN, 20, heading.shortened(heading.escaped(title), (WIDTH - 2 * MARGIN) * scale), size=22)
    legend.draw(canvas, MARGIN, TITLE_HEIGHT)
    for card in cards:
        draw_rule(canvas, top, margin=MARGIN)
        card.draw(canvas, top + GAP)
        top += card.height + 2 * GAP
    return canvas.image


class _Card:
    """One failure: how high it is, and how it is drawn."""

    def __init__(self, failure: Failure, lettering: Lettering, scale: int) -> None:
        room = (WIDTH - 2 * MARGIN - PICTURE.width - GAP) * scale
        entries = (
            (failure.origin, MUTED),
            (failure.question, INK),
            (failure.reference or "(nothing)", RIGHT),
            (failure.answer or "(nothing)", ANSWERED),
            (failure.measures, MUTED),
        )
        self._lines = [
            (line, color, number == 0)
            for text, color in entries
            for number, line in enumerate(
                lettering.wrapped(lettering.escaped(text[:MOST_TEXT]), room, most=MOST_LINES) if text else []
            )
        ]
        self._pictures = _pictures(failure, scale)
        below = max((y + picture.height for _, y, picture in self._pictures), default=0)
        self.height = max(-(-below // scale), self._text_height)

    @property
    def _text_height(self) -> int:
        return LINE * len(self._lines) + 8 * sum(first for _, _, first in self._lines)

    def draw(self, canvas: Canvas, upper: int) -> None:
        """Draw it with its upper edge at `upper`."""
        for x, y, picture in self._pictures:
            canvas.image.paste(
                ImageOps.expand(picture, 1, FAINT), (MARGIN * canvas.scale + x, upper * canvas.scale + y)
            )
        y = upper
        for number, (line, color, first) in enumerate(self._lines):
            y += 8 if first and number else 0
            canvas.text(MARGIN + PICTURE.width + GAP, y, line, size=LETTERS, color=color)
            y += LINE


def _pictures(failure: Failure, scale: int) -> list[tuple[int, int, Image.Image]]:
    """Places in pixels, and the pictures as they are shown there."""
    shown = list(failure.pictures[:MOST_PICTURES])
    across = math.ceil(math.sqrt(len(shown)))
    gap = 6 * scale if across > 1 else 0
    room = Size(*((side * scale - gap) // max(across, 1) - 2 for side in PICTURE))
    placed = []
    for number, picture in enumerate(shown):
        fitted = _fitted(picture, room)
        if len(failure.pictures) == 1:
            fitted = _marked(failure, picture.size, fitted)
        down, right = divmod(number, across)
        placed.append((right * (room.width + gap), down * (room.height + gap), fitted))
    return placed


def _fitted(picture: Image.Image, room: Size) -> Image.Image:
    """The picture as large as the room allows, at least one pixel wide and high."""
    factor = min(room.width / picture.width, room.height / picture.height)
    size = (max(round(picture.width * factor), 1), max(round(picture.height * factor), 1))
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _marked(failure: Failure, size: tuple[int, int], picture: Image.Image) -> Image.Image:
    across, down = picture.width / size[0], picture.height / size[1]
    marked = [
        MarkedBox(
            Box(round(box.left * across), round(box.upper * down), round(box.right * across), round(box.lower * down)),
            "",
            color,
            0,
            dashed,
        )
        for boxes, color, dashed in ((failure.reference_boxes, RIGHT, False), (failure.answer_boxes, ANSWERED, True))
        for box in boxes
    ]
    return mark(picture, marked, least_side=1)
