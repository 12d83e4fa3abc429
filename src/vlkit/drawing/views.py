"""The views of a picture as an encoder gets them, and the part of a view behind every token."""

from __future__ import annotations

from PIL import Image

from vlkit.drawing.canvas import hatched
from vlkit.notation import Grid, Size
from vlkit.tiling import Tiling, fit_inside


def placed(picture: Image.Image, frame: Size, ground: Image.Image) -> Image.Image:
    """Picture scaled to fit in a frame and centred on `ground`, which has the frame's shape and any resolution."""
    box = fit_inside(picture.size, frame)
    across, down = ground.width / frame.width, ground.height / frame.height
    left, upper, right, lower = (round(side * factor) for side, factor in zip(box, (across, down, across, down)))
    framed = ground.copy()
    if left < right and upper < lower:
        shrunk = picture.resize((right - left, lower - upper), Image.Resampling.LANCZOS, reducing_gap=3.0)
        framed.paste(shrunk, (left, upper))
    return framed


def token_mosaics(
    picture: Image.Image, tiling: Tiling, grid: Grid, *, token_size: Size, cell: int
) -> list[Image.Image]:
    """Each view, the global one first, as `grid` cells of `cell` pixels: a cell shows the pixels behind its token.

    Args:
        picture: the original.
        tiling: how it is cut.
        grid: feature rows and columns of a view.
        token_size: width and height of the pixels behind one token; what reaches beyond the view is padding.
        cell: side of a cell in pixels.
    """
    step = max(9 * token_size.width // cell, 1)
    fitted = placed(picture, tiling.resolution, hatched(tiling.resolution, step=step))
    overview = placed(picture, tiling.tile_size, hatched(tiling.tile_size, step=step))
    seen = Size(token_size.width * grid.cols, token_size.height * grid.rows)
    mosaics = []
    for view in (overview, *(fitted.crop(box) for box in tiling.boxes)):
        whole = hatched(seen, step=step)
        whole.paste(view, (0, 0))
        mosaics.append(whole.resize((grid.cols * cell, grid.rows * cell), Image.Resampling.LANCZOS, reducing_gap=3.0))
    return mosaics
