"""A canvas in logical units: shapes and text, drawn `scale` times as fine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from vlkit.errors import InputError
from vlkit.notation import Size
from vlkit.tiling import Box

INK, MUTED, FAINT, PAPER = "#111827", "#6b7280", "#e5e7eb", "#ffffff"
PADDING, HATCH = "#e5e7eb", "#cbd5e1"
GLOBAL_VIEW, TILE = "#0d9488", "#4f46e5"
SEPARATORS = ("#f59e0b", "#e11d48", "#9333ea", "#0284c7", "#65a30d")
"""Colours of a layout's separators, in the order of their addresses."""


@lru_cache
def load_font(size: int, font: str | Path | None = None) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Font of a TrueType or OpenType file, by default Pillow's own, which has the letters of ASCII.

    Raises:
        InputError: if the file is no font.
    """
    if font is None:
        return ImageFont.load_default(size)
    try:
        return ImageFont.truetype(str(font), size)
    except OSError as error:
        raise InputError(
            f"{str(font)!r:.120} cannot be used as a font: {error}",
            rule="a font is a TrueType or OpenType file",
            remedy="name another, or none for Pillow's own",
        ) from None


def text_width(text: str, size: int, font: str | Path | None = None) -> float:
    """Width of a text in logical units."""
    return load_font(8 * size, font).getlength(text) / 8


class Canvas:
    """A white picture to draw on.

    Args:
        size: width and height in logical units, as all lengths.
        scale: pixels per unit.
        font: TrueType or OpenType file; None: Pillow's own.
    """

    def __init__(self, size: Size, *, scale: int, font: str | Path | None = None) -> None:
        self.width, self.scale, self.font = size.width, scale, font
        self.image = Image.new("RGB", (size.width * scale, size.height * scale), PAPER)
        self._pen = ImageDraw.Draw(self.image)

    def text(self, x: float, y: float, text: str, *, size: int, color: str = INK, anchor: str = "la") -> None:
        """Text whose anchor point (as Pillow names it) lies at `x, y`."""
        at = (x * self.scale, y * self.scale)
        self._pen.text(at, text, font=load_font(size * self.scale, self.font), fill=color, anchor=anchor)

    def rectangle(
        self, box: Box, *, fill: str | None = None, outline: str | None = None, width: int = 1, radius: int = 0
    ) -> None:
        """Rectangle; an outline lies inside it."""
        left, upper, right, lower = (side * self.scale for side in box)
        corners, line = (left, upper, right - 1, lower - 1), width * self.scale
        self._pen.rounded_rectangle(corners, radius * self.scale, fill=fill, outline=outline, width=line)

    def polygon(self, points: Sequence[tuple[float, float]], *, fill: str) -> None:
        """Filled polygon."""
        self._pen.polygon([(x * self.scale, y * self.scale) for x, y in points], fill=fill)

    def line(self, points: Sequence[tuple[float, float]], *, color: str, width: float = 1) -> None:
        """Line through the points."""
        places = [(x * self.scale, y * self.scale) for x, y in points]
        self._pen.line(places, fill=color, width=max(round(width * self.scale), 1), joint="curve")

    def dot(self, x: float, y: float, *, color: str, radius: float) -> None:
        """Filled circle around `x, y`."""
        x, y, radius = x * self.scale, y * self.scale, radius * self.scale
        self._pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)

    def picture(self, image: Image.Image, x: int, y: int) -> None:
        """Picture of `scale` pixels per unit with its upper left corner at `x, y`."""
        self.image.paste(image, (x * self.scale, y * self.scale))

    def label(self, x: float, y: float, text: str, *, color: str, size: int = 12) -> None:
        """Text in white on a coloured tag whose upper left corner lies at `x, y`."""
        width, height = round(text_width(text, size)) + 10, size + 6
        left, upper = round(x), round(y)
        self.rectangle(Box(left, upper, left + width, upper + height), fill=color, radius=3)
        self.text(left + width / 2, upper + height / 2, text, size=size, color=PAPER, anchor="mm")


def hatched(size: Size, *, step: int) -> Image.Image:
    """Grey area with diagonal lines, `step` pixels apart: what stands for no picture."""
    image = Image.new("RGB", size, PADDING)
    width, height = size
    pen = ImageDraw.Draw(image)
    for start in range(-height, width, step):
        pen.line([(start, height), (start + height, 0)], fill=HATCH, width=max(step // 5, 1))
    return image
