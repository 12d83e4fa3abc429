"""Named boxes on a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw

from vlkit.drawing.canvas import Canvas
from vlkit.drawing.captions import CAPTION_SIZE, SWATCH, Legend
from vlkit.drawing.label_places import place_labels
from vlkit.drawing.lettering import Lettering
from vlkit.drawing.outlines import COLORS, contrast, draw_outline
from vlkit.notation import Size
from vlkit.processing import GroundedObject, to_pixels
from vlkit.tiling import Box

LEAST_SIDE, LEGEND_WIDTH, GAP = 480, 240, 10
"""Longer side that small pictures are enlarged to, least width of a legend, and space around it, in pixels."""
LEAST_LETTERS, MOST_LETTERS = 14, 96
"""Smallest and largest size of labels in pixels."""


class MarkedBox(NamedTuple):
    """A box with its label.

    Args:
        box: in pixels of the picture.
        name: what is in it; "" for no label.
        color: of outline and label.
        number: stands for the name where that has no room.
        dashed: whether the outline is dashed.
    """

    box: Box
    name: str
    color: str
    number: int
    dashed: bool = False


def draw_boxes(
    picture: Image.Image,
    objects: Sequence[GroundedObject],
    *,
    frame: tuple[int, int] | None = None,
    font: str | Path | None = None,
) -> Image.Image:
    """Copy of a picture with the boxes of objects and their names.

    Objects of one name have one colour. A name whose letters the font lacks is written in plainer ones where there are
    such, else with the number of the object, counted from 1, in their place. Names without room in the picture are
    numbers there, and explained below it.

    Args:
        picture: the original; a small one is enlarged by a whole number.
        objects: names and boxes in coordinates from 0 to 999.
        frame: width and height of the padded view that the coordinates refer to; None if to the picture itself.
        font: TrueType or OpenType file; None: Pillow's own, which has the letters of ASCII.

    Raises:
        InputError: if the file is no font.
    """
    names = list(dict.fromkeys(item.name.strip() for item in objects))
    marked = [
        MarkedBox(to_pixels(box, picture.size, frame=frame), name, COLORS[names.index(name) % len(COLORS)], number)
        for number, item in enumerate(objects, 1)
        for name in (item.name.strip(),)
        for box in item.boxes
    ]
    return mark(picture, marked, font=font)


def mark(
    picture: Image.Image,
    marked: Sequence[MarkedBox],
    *,
    least_side: int = LEAST_SIDE,
    font: str | Path | None = None,
) -> Image.Image:
    """Copy of a picture with boxes in pixels on it; see `draw_boxes`.

    Args:
        picture: the original.
        marked: boxes; those that come later are drawn over earlier ones.
        least_side: longer side that a smaller picture is enlarged to, about.
        font: as in `draw_boxes`.
    """
    factor = max(least_side // max(picture.size), 1)
    size = Size(picture.width * factor, picture.height * factor)
    ground = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    boxes = [_visible(Box(*(side * factor for side in each.box)), size) for each in marked]
    lettering = Lettering(_letter_size(size), font)
    pen = ImageDraw.Draw(ground)
    for each, box in zip(marked, boxes):
        draw_outline(pen, box, each.color, line=max(round(lettering.size / 4.5), 2), dashed=each.dashed)
    legend = _draw_labels(pen, marked, boxes, size, lettering)
    return _with_legend(ground, legend, lettering.size, font) if legend else ground


def _letter_size(size: Size) -> int:
    return round(min(max(math.sqrt(size.width * size.height) / 45, LEAST_LETTERS), MOST_LETTERS))


def _visible(box: Box, size: Size) -> Box:
    """Box within the picture, at least one pixel wide and high."""
    left, upper = min(max(box.left, 0), size.width - 1), min(max(box.upper, 0), size.height - 1)
    right, lower = min(max(box.right, left + 1), size.width), min(max(box.lower, upper + 1), size.height)
    return Box(left, upper, right, lower)


def _draw_labels(
    pen: ImageDraw.ImageDraw, marked: Sequence[MarkedBox], boxes: Sequence[Box], size: Size, lettering: Lettering
) -> dict[int, tuple[str, str]]:
    """Draw the labels; gives number, colour and name of those that only a number has room for."""
    texts, legend = [], {}
    pad = max(lettering.size // 4, 3)
    height = lettering.size + 2 * pad

    def fits(text: str) -> bool:
        return lettering.width(text) + 2 * pad <= size.width and height <= size.height

    for each in marked:
        plain = lettering.plain(each.name)
        text = plain.text if plain.complete else f"{each.number} {plain.text}".strip()
        if each.name and not fits(text):
            legend[each.number] = (each.color, text if text.startswith(f"{each.number} ") else f"{each.number} {text}")
            text = str(each.number)
        texts.append(text if each.name and fits(text) else "")
    shown = [index for index, text in enumerate(texts) if text]
    sizes = [Size(lettering.width(texts[index]) + 2 * pad, height) for index in shown]
    places = place_labels([boxes[index] for index in shown], sizes, size)
    for index, place in zip(shown, places):
        color = marked[index].color
        pen.rectangle((place.left, place.upper, place.right - 1, place.lower - 1), fill=color)
        middle = ((place.left + place.right) / 2, (place.upper + place.lower) / 2)
        pen.text(middle, texts[index], font=lettering.font, fill=contrast(color), anchor="mm")
    return legend


def _with_legend(
    picture: Image.Image, entries: dict[int, tuple[str, str]], letters: int, font: str | Path | None
) -> Image.Image:
    """The picture with names and colours below it."""
    scale = max(round(letters / CAPTION_SIZE), 1)
    width, height = max(-(-picture.width // scale), LEGEND_WIDTH), -(-picture.height // scale)
    room = width - 2 * GAP - SWATCH - 8
    caption = Lettering(CAPTION_SIZE, font)
    shown = [(color, caption.shortened(text, room)) for color, text in entries.values()]
    legend = Legend(shown, width=width - 2 * GAP, font=font)
    canvas = Canvas(Size(width, height + legend.height + GAP), scale=scale, font=font)
    canvas.picture(picture, 0, 0)
    legend.draw(canvas, GAP, height + GAP)
    return canvas.image
