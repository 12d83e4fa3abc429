"""What a model says about a picture: the questions, the answers with how likely they are, and the boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from vlkit.drawing.canvas import FAINT, INK, MUTED, Canvas, text_width
from vlkit.drawing.captions import CAPTION_SIZE, SWATCH, draw_rule
from vlkit.drawing.lettering import Lettering
from vlkit.drawing.outlines import draw_outline
from vlkit.notation import Size
from vlkit.tiling import Box

SURE, UNSURE = "#009e73", "#d55e00"
"""Colours of believed answers and of others; people with any kind of colour vision tell them apart."""
FOUND = ("#56b4e9", "#cc79a7", "#e69f00", "#f0e442")
"""Colours of boxes, answer by answer."""
MARGIN, GAP, HEADING = 36, 30, 64
PICTURE = Size(560, 420)
"""Most room for the picture."""
ANSWER_SIZE, UNSURE_SIZE, SMALL, LINE = 30, 18, 12, 22
ROOM, LINE_WIDTH = 6, 3
"""Space between a box and the outer edge of its outline, so that this covers nothing, and width of the outline."""
BAR = Size(220, 8)
"""The bar of a probability."""
MOST_LINES, MOST_TEXT = 4, 400


@dataclass(frozen=True)
class GivenAnswer:
    """A question, and what a model says to it.

    Args:
        question: as it was asked.
        answer: as it is shown, line by line.
        probability: that the model gives it, from 0 to 1.
        believed: whether it is shown as an answer, or only as what the model would have said.
        boxes: that go with it, in pixels of the picture.
    """

    question: str
    answer: str
    probability: float
    believed: bool
    boxes: tuple[Box, ...] = ()


def draw_answers(
    picture: Image.Image,
    answers: Sequence[GivenAnswer],
    *,
    least: float,
    note: str = "",
    title: str = "What the model says",
    width: int = 1200,
    scale: int = 2,
    font: str | Path | None = None,
) -> Image.Image:
    """Panel with a picture on the left, the boxes of believed answers on it, and the answers on the right.

    Args:
        picture: what was asked about.
        answers: from top to bottom.
        least: probability from which an answer is believed; marked on the bars.
        note: what else is to be said, below the answers.
        title: first line.
        width: of the panel in units.
        scale: pixels per unit.
        font: TrueType or OpenType file; None: Pillow's own, which has the letters of ASCII.

    Raises:
        InputError: if the file is no font.
    """
    left = MARGIN + PICTURE.width + GAP
    free = cycle(FOUND)
    colors = [next(free) if answer.believed and answer.boxes else None for answer in answers]
    outlines = [(box, color) for answer, color in zip(answers, colors) if color for box in answer.boxes]
    shown = _shown(picture, outlines, scale)
    parts = [_Part(answer, color, width - MARGIN - left, scale, font) for answer, color in zip(answers, colors)]
    below = _wrapped(note, CAPTION_SIZE, width - MARGIN - left, scale, font)
    height = sum(part.height + GAP for part in parts) + LINE * len(below)
    upper = HEADING + GAP
    canvas = Canvas(Size(width, upper + max(height, -(-shown.height // scale)) + GAP), scale=scale, font=font)
    draw_rule(canvas, GAP // 2, margin=MARGIN)
    canvas.text(MARGIN, upper - 2 * LINE, title, size=17)
    canvas.picture(shown, MARGIN, upper)
    for part in parts:
        part.draw(canvas, left, upper, least)
        upper += part.height + GAP
    for number, line in enumerate(below):
        canvas.text(left, upper + number * LINE, line, size=CAPTION_SIZE, color=MUTED)
    return canvas.image


class _Part:
    """One answer: how high it is, and how it is drawn."""

    def __init__(self, given: GivenAnswer, color: str | None, room: int, scale: int, font: str | Path | None) -> None:
        self._given, self._color = given, color
        self._size = ANSWER_SIZE if given.believed else UNSURE_SIZE
        self._line = self._size + 8
        self._indent = SWATCH + 10 if color else 0
        self._question = _wrapped(given.question, CAPTION_SIZE, room, scale, font)
        lines = given.answer.splitlines() or ["(nothing)"]
        wrapped = [_wrapped(line, self._size, room - self._indent, scale, font) for line in lines]
        self._answer = list(chain.from_iterable(wrapped))[:MOST_LINES]
        self.height = LINE * len(self._question) + self._line * len(self._answer) + 2 * LINE

    def draw(self, canvas: Canvas, left: int, upper: int, least: float) -> None:
        """Draw it with its upper left corner at `left, upper`."""
        for line in self._question:
            canvas.text(left, upper, line, size=CAPTION_SIZE, color=MUTED)
            upper += LINE
        if self._color:
            swatch = upper + (self._line - SWATCH) // 2 - 2
            canvas.rectangle(Box(left, swatch, left + SWATCH, swatch + SWATCH), fill=self._color, radius=3)
        for line in self._answer:
            color = INK if self._given.believed else MUTED
            canvas.text(left + self._indent, upper, line, size=self._size, color=color)
            upper += self._line
        self._draw_bar(canvas, left, upper + 8, least)

    def _draw_bar(self, canvas: Canvas, left: int, upper: int, least: float) -> None:
        given, lower = self._given, upper + BAR.height
        color = SURE if given.believed else UNSURE
        radius, full = BAR.height // 2, round(BAR.width * min(max(given.probability, 0.0), 1.0))
        canvas.rectangle(Box(left, upper, left + BAR.width, lower), fill=FAINT, radius=radius)
        canvas.rectangle(Box(left, upper, left + max(full, BAR.height), lower), fill=color, radius=radius)
        tick = left + round(BAR.width * least)
        canvas.rectangle(Box(tick, upper - 4, tick + 1, lower + 4), fill=INK)
        caption = f"believed from {least:g}"
        middle = max(tick, left + text_width(caption, SMALL, canvas.font) / 2)
        canvas.text(middle, lower + 6, caption, size=SMALL, color=MUTED, anchor="ma")
        said = f"{'sure' if given.believed else 'unsure'}, probability {given.probability:.3f}"
        canvas.text(left + BAR.width + 14, upper + BAR.height / 2, said, size=CAPTION_SIZE, color=color, anchor="lm")


def _wrapped(text: str, size: int, room: int, scale: int, font: str | Path | None) -> list[str]:
    """Lines of a text that fit into so many units, letters that the font lacks as their code points."""
    lettering = Lettering(size * scale, font)
    return lettering.wrapped(lettering.escaped(text[:MOST_TEXT]), room * scale, most=MOST_LINES) if text else []


def _shown(picture: Image.Image, outlines: Sequence[tuple[Box, str]], scale: int) -> Image.Image:
    """The picture as large as there is room, with boxes in their colours, in a thin frame."""
    room = Size(PICTURE.width * scale - 2, PICTURE.height * scale - 2)
    factor = min(room.width / picture.width, room.height / picture.height)
    size = Size(max(round(picture.width * factor), 1), max(round(picture.height * factor), 1))
    fitted = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    pen = ImageDraw.Draw(fitted)
    for box, color in outlines:
        draw_outline(pen, _around(box, picture.size, size, ROOM * scale), color, line=LINE_WIDTH * scale, dashed=False)
    return ImageOps.expand(fitted, 1, FAINT)


def _around(box: Box, picture: tuple[int, int], shown: Size, space: int) -> Box:
    """Box on the shown picture with some space around it, as far as there is any."""
    across, down = shown.width / picture[0], shown.height / picture[1]
    return Box(
        max(round(box.left * across) - space, 0),
        max(round(box.upper * down) - space, 0),
        min(round(box.right * across) + space, shown.width),
        min(round(box.lower * down) + space, shown.height),
    )
