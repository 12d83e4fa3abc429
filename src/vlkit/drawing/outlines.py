"""Outlines that stand out from any picture, in colours that everybody can tell apart."""

from __future__ import annotations

from PIL import ImageDraw

from vlkit.drawing.canvas import INK, PAPER
from vlkit.tiling import Box

COLORS = ("#e69f00", "#56b4e9", "#009e73", "#d55e00", "#0072b2", "#cc79a7", "#f0e442")
"""Colours that differ for people with any kind of colour vision (Okabe and Ito 2008)."""
DARK = {"#009e73", "#d55e00", "#0072b2"}
"""Those of them that white is read on."""


def contrast(color: str) -> str:
    """Black or white, whichever is read better on a colour of `COLORS`."""
    return PAPER if color in DARK else INK


def draw_outline(pen: ImageDraw.ImageDraw, box: Box, color: str, *, line: int, dashed: bool) -> None:
    """Outline inside a box, between two hair lines that set it off from any ground."""
    hair = max(line // 3, 1)
    for inset, width, paint in ((0, line + 2 * hair, contrast(color)), (hair, line, color)):
        left, upper, right, lower = box.left + inset, box.upper + inset, box.right - 1 - inset, box.lower - 1 - inset
        if left > right or upper > lower:
            continue
        if dashed and inset:
            _dashes(pen, Box(left, upper, right, lower), paint, line=width)
        else:
            pen.rectangle((left, upper, right, lower), outline=paint, width=width)


def _dashes(pen: ImageDraw.ImageDraw, box: Box, paint: str, *, line: int) -> None:
    step = 5 * line
    for x in range(box.left, box.right + 1, 2 * step):
        stop = min(x + step, box.right)
        pen.rectangle((x, box.upper, stop, min(box.upper + line - 1, box.lower)), fill=paint)
        pen.rectangle((x, max(box.lower - line + 1, box.upper), stop, box.lower), fill=paint)
    for y in range(box.upper, box.lower + 1, 2 * step):
        stop = min(y + step, box.lower)
        pen.rectangle((box.left, y, min(box.left + line - 1, box.right), stop), fill=paint)
        pen.rectangle((max(box.right - line + 1, box.left), y, box.right, stop), fill=paint)
