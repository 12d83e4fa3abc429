"""A page: words in lines, how they are printed, and the picture with the box of each word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import NamedTuple

from PIL import Image, ImageChops

from vlkit.notation import Size
from vlkit.printed_text.fonts import load
from vlkit.tiling import Box

Colour = tuple[int, int, int]
NOISE_SIDE = 1024
CAPITAL = 0.7
"""Height of capitals, as a share of the font's."""


@dataclass(frozen=True)
class Page:
    """Everything that a picture of text is made from.

    Args:
        size: width and height in pixels.
        lines: words of each line.
        face: font face.
        font_size: height of the font in pixels.
        start: where the first line begins, in pixels from the left and upper edge.
        leading: distance between lines, in pixels.
        angle: degrees that everything is turned by, counter-clockwise.
        ink, paper: colours.
        noise: 0 for none, up to 1 for nothing else.
        noise_at: corner of the noise that is used.
        pitch: distance of characters in pixels, each in the middle of its own place; None: as the font says.
    """

    size: Size
    lines: tuple[tuple[str, ...], ...]
    face: str
    font_size: int
    start: tuple[int, int]
    leading: int
    angle: float
    ink: Colour
    paper: Colour
    noise: float
    noise_at: tuple[int, int]
    pitch: int | None = None

    @property
    def text(self) -> str:
        """The words as they are read, line by line."""
        return "\n".join(" ".join(words) for words in self.lines)


class Printed(NamedTuple):
    """A printed page.

    Args:
        image: the picture.
        text: the words as they are read, line by line.
        words: each word in reading order with the box of its ink in pixels.
        characters: each character in reading order with its middle in pixels.
        font_size: height of the font in pixels.
    """

    image: Image.Image
    text: str
    words: tuple[tuple[str, Box], ...]
    characters: tuple[tuple[str, float, float], ...]
    font_size: int


def measure(lines: Sequence[Sequence[str]], face: str, font_size: int) -> tuple[float, int, int]:
    """Width of the widest line, and height of the ink of one line above and below its upper edge, in pixels."""
    font = load(face, font_size)
    ascent, descent = font.getmetrics()
    return max(font.getlength(" ".join(words)) for words in lines), ascent, descent


def render(page: Page) -> Printed:
    """Picture of a page; the same page always gives the same picture."""
    mask = Image.new("L", page.size, 0)
    words, characters = [], []
    font = load(page.face, page.font_size)
    for number, line in enumerate(page.lines):
        left, upper = float(page.start[0]), page.start[1] + number * page.leading
        for word in line:
            boxes = [_print(mask, piece, page, (left + x, upper)) for piece, x in _pieces(word, page)]
            words.append((word, _around(boxes)))
            characters += [(letter, *_turned(page, left + x, upper + y)) for letter, x, y in _middles(word, page)]
            left += (len(word) + 1) * page.pitch if page.pitch else font.getlength(word + " ")
    image = Image.new("RGB", page.size, page.paper)
    image.paste(page.ink, (0, 0, *page.size), mask)
    if page.noise:
        left, upper = page.noise_at
        grain = _noise().crop((left, upper, left + page.size.width, upper + page.size.height))
        image = Image.blend(image, grain, page.noise)
    return Printed(image, page.text, tuple(words), tuple(characters), page.font_size)


def _pieces(word: str, page: Page) -> list[tuple[str, float]]:
    """What is printed in one go, and how far from the beginning of the word: all of it, or characters with a pitch."""
    if page.pitch is None:
        return [(word, 0.0)]
    font = load(page.face, page.font_size)
    return [(letter, (i + 0.5) * page.pitch - font.getlength(letter) / 2) for i, letter in enumerate(word)]


def _middles(word: str, page: Page) -> list[tuple[str, float, float]]:
    """Each character with its middle, from the beginning of the word and the upper edge of the line."""
    font = load(page.face, page.font_size)
    y = font.getmetrics()[0] - CAPITAL / 2 * page.font_size
    if page.pitch is not None:
        return [(letter, (i + 0.5) * page.pitch, y) for i, letter in enumerate(word)]
    ends = [font.getlength(word[:i]) for i in range(len(word) + 1)]
    return [(letter, (ends[i] + ends[i + 1]) / 2, y) for i, letter in enumerate(word)]


def _turned(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a place comes to lie when the page is turned around its middle."""
    if not page.angle:
        return x, y
    turn, middle_x, middle_y = math.radians(page.angle), page.size.width / 2, page.size.height / 2
    x, y = x - middle_x, y - middle_y
    return (
        middle_x + x * math.cos(turn) + y * math.sin(turn),
        middle_y + y * math.cos(turn) - x * math.sin(turn),
    )


def _around(boxes: Sequence[Box]) -> Box:
    """Smallest box around all."""
    lefts, uppers, rights, lowers = zip(*boxes, strict=True)
    return Box(min(lefts), min(uppers), max(rights), max(lowers))


def _print(mask: Image.Image, text: str, page: Page, corner: tuple[float, float]) -> Box:
    """Add the ink of a text to the mask of the page, turned with the page around its middle; the box of the ink."""
    ink, offset = load(page.face, page.font_size).getmask2(text, mode="L")
    size = Size(*ink.size)
    stamp = Image.frombytes("L", size, bytes(ink))
    if page.angle:
        stamp = stamp.rotate(page.angle, Image.Resampling.BILINEAR, expand=True)
    x, y = _turned(page, corner[0] + offset[0] + size.width / 2, corner[1] + offset[1] + size.height / 2)
    left, upper = round(x - stamp.width / 2), round(y - stamp.height / 2)
    spot = (left, upper, left + stamp.width, upper + stamp.height)
    mask.paste(ImageChops.lighter(mask.crop(spot), stamp), spot)
    found = stamp.getbbox() or (0, 0, *stamp.size)
    return Box(left + found[0], upper + found[1], left + found[2], upper + found[3])


@lru_cache(1)
def _noise() -> Image.Image:
    return Image.frombytes("RGB", (NOISE_SIDE, NOISE_SIDE), Random(0).randbytes(3 * NOISE_SIDE**2))
