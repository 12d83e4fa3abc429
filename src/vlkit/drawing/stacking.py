"""Pictures of one width, one below the other."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from vlkit.drawing.canvas import PAPER


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """One picture of several, from above to below, on white."""
    width, height = max(picture.width for picture in pictures), sum(picture.height for picture in pictures)
    whole = Image.new("RGB", (width, height), PAPER)
    upper = 0
    for picture in pictures:
        whole.paste(picture, (0, upper))
        upper += picture.height
    return whole
