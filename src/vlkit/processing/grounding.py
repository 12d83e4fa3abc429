"""Grounded text: objects that a model names together with their boxes, read and written without guessing.

The form is `<|ref|>name<|/ref|><|det|>[[left, upper, right, lower], ...]<|/det|>`, coordinates being whole numbers
from 0 to 999 over the width and the height of the picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from vlkit.errors import InputError
from vlkit.processing.box_list import SCALE, BoxList, Malformed, in_order
from vlkit.tiling import Box, fit_inside

GROUNDING_TAGS = ("<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>")
"""Around a name, and around its boxes."""
_TAG = re.compile("|".join(map(re.escape, GROUNDING_TAGS)))


@dataclass(frozen=True)
class GroundedObject:
    """Something named in a text, and where it is, in coordinates from 0 to 999."""

    name: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Grounding:
    """What `parse` found, in the order of the text."""

    objects: tuple[GroundedObject, ...]
    malformed: tuple[Malformed, ...]


def parse(text: str) -> Grounding:
    """Objects of a text, and what had to be left out; never raises, and takes time linear in the text.

    A single box without the outer brackets is accepted, and so are lists in lists. Of a list with bad boxes the good
    ones are kept.
    """
    objects: list[GroundedObject] = []
    malformed: list[Malformed] = []
    tags = list(_TAG.finditer(text))
    position = 0
    while position < len(tags):
        four = tags[position : position + 4]
        if tuple(tag.group() for tag in four) != GROUNDING_TAGS or text[four[1].end() : four[2].start()].strip():
            follower = tags[position + 1].start() if position + 1 < len(tags) else len(text)
            malformed.append(Malformed(tags[position].start(), follower, f"not in the form {''.join(GROUNDING_TAGS)}"))
            position += 1
            continue
        found = BoxList()
        found.read(text, four[2].end(), four[3].start())
        malformed += found.malformed
        if found.boxes:
            objects.append(GroundedObject(text[four[0].end() : four[1].start()], tuple(found.boxes)))
        position += 4
    return Grounding(tuple(objects), tuple(malformed))


def render(objects: Iterable[GroundedObject]) -> str:
    """Text of objects, as the model writes them; `parse` gives them back.

    Raises:
        InputError: if a name holds a grounding tag, or a box is missing or leaves 0 to 999.
    """
    return "".join(_render_one(item) for item in objects)


def _render_one(item: GroundedObject) -> str:
    if _TAG.search(item.name) or not item.boxes or not all(map(in_order, item.boxes)):
        raise InputError(
            f"{item!r:.120} cannot be written",
            rule="a name without grounding tags, and at least one box with 0 <= left <= right <= 999, same downwards",
        )
    return f"<|ref|>{item.name}<|/ref|><|det|>{[list(box) for box in item.boxes]}<|/det|>"


def to_pixels(box: Box, image_size: tuple[int, int], *, frame: tuple[int, int] | None = None) -> Box:
    """Box in pixels of a picture.

    Args:
        box: coordinates from 0 to 999.
        image_size: width and height of the picture.
        frame: width and height of the padded view that the coordinates refer to; None if to the picture itself.

    Returns:
        The nearest pixel edges, cut off at the picture's.
    """
    return _mapped(box, image_size, frame, inverse=False)


def from_pixels(box: Box, image_size: tuple[int, int], *, frame: tuple[int, int] | None = None) -> Box:
    """Inverse of `to_pixels`, up to rounding: the nearest coordinates from 0 to 999."""
    return _mapped(box, image_size, frame, inverse=True)


def _mapped(box: Box, image_size: tuple[int, int], frame: tuple[int, int] | None, *, inverse: bool) -> Box:
    if min(*image_size, *(frame or image_size)) < 1:
        raise InputError(f"image_size {image_size}, frame {frame}", rule="widths and heights are at least 1")
    whole = frame or image_size
    placed = fit_inside(image_size, whole)

    def scaled(value: int, axis: int) -> int:
        start, stop = placed[axis], max(placed[axis + 2], placed[axis] + 1)
        if inverse:
            inside = min(max(value, 0), image_size[axis]) / image_size[axis]
            return round((start + inside * (stop - start)) * SCALE / whole[axis])
        inside = (value * whole[axis] / SCALE - start) / (stop - start)
        return round(min(max(inside, 0.0), 1.0) * image_size[axis])

    return Box(*(scaled(value, axis % 2) for axis, value in enumerate(box)))


def grounded(text: str) -> bool:
    """Whether a text holds a grounding tag."""
    return _TAG.search(text) is not None
