"""Header and legend of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from vlkit.drawing.canvas import FAINT, MUTED, Canvas, text_width
from vlkit.tiling import Box

HEADER_HEIGHT = 142
LINE, SWATCH = 26, 14
STEP_SIZE, CAPTION_SIZE = 21, 14


def draw_header(canvas: Canvas, title: str, steps: Sequence[tuple[str, str]], *, margin: int) -> None:
    """Title, and below it the steps of the way, each a value over its caption, with arrows between them."""
    canvas.text(margin, 22, title, size=24)
    x: float = margin
    for number, (value, caption) in enumerate(steps):
        if number:
            canvas.polygon([(x, 73), (x + 5, 73), (x + 13, 84), (x + 5, 95), (x, 95), (x + 8, 84)], fill=MUTED)
            x += 32
        canvas.text(x, 62, value, size=STEP_SIZE)
        canvas.text(x, 89, caption, size=CAPTION_SIZE, color=MUTED)
        x += max(text_width(value, STEP_SIZE), text_width(caption, CAPTION_SIZE)) + 20
    draw_rule(canvas, 122, margin=margin)


def draw_rule(canvas: Canvas, y: int, *, margin: int) -> None:
    """Thin line from margin to margin."""
    canvas.rectangle(Box(margin, y, canvas.width - margin, y + 1), fill=FAINT)


class Legend:
    """Colours and pictures with what they stand for, in as many lines as they need.

    Args:
        entries: colour or picture, and text.
        width: units from left to right.
        font: that of the canvas.
    """

    def __init__(
        self, entries: Sequence[tuple[str | Image.Image, str]], *, width: int, font: str | Path | None = None
    ) -> None:
        self._placed: list[tuple[float, int, str | Image.Image, str]] = []
        x, y = 0.0, 0
        for sign, text in entries:
            needed = SWATCH + 8 + text_width(text, CAPTION_SIZE, font)
            if x and x + needed > width:
                x, y = 0.0, y + LINE
            self._placed.append((x, y, sign, text))
            x += needed + 30
        self.height = y + LINE

    def draw(self, canvas: Canvas, x: int, y: int) -> None:
        """Draw it with its upper left corner at `x, y`."""
        for right, down, sign, text in self._placed:
            left, upper = x + round(right), y + down
            if isinstance(sign, str):
                canvas.rectangle(Box(left, upper, left + SWATCH, upper + SWATCH), fill=sign, radius=3)
            else:
                canvas.picture(sign.resize((SWATCH * canvas.scale, SWATCH * canvas.scale)), left, upper)
            canvas.text(left + SWATCH + 8, upper + SWATCH / 2, text, size=CAPTION_SIZE, anchor="lm")
