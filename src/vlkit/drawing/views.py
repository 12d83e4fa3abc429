"""The views of a picture as an encoder gets them, and the part of a view behind every token."""

from __future__ import annotations

from PIL import Image

from vlkit.drawing.canvas import hatched
from vlkit.notation import Grid, Size
from vlkit.tiling import Box, Tiling


def placed(picture: Image.Image, box: Box, frame: Size, ground: Image.Image) -> Image.Image:
    """Picture in its place `box` of a frame, on `ground`, which has the frame's shape and any resolution."""
    across, down = ground.width / frame.width, ground.height / frame.height
    left, upper, right, lower = (round(side * factor) for side, factor in zip(box, (across, down, across, down)))
    framed = ground.copy()
    if left < right and upper < lower:
        shrunk = picture.resize((right - left, lower - upper), Image.Resampling.LANCZOS, reducing_gap=3.0)
        framed.paste(shrunk, (left, upper))
    return framed


def token_mosaics(
    picture: Image.Image, tiling: Tiling, grid: Grid, overview: Grid | None = None, *, token_size: Size, cell: int
) -> list[Image.Image]:
    """Each view, the global one first, as a grid of cells of `cell` pixels: a cell shows the pixels behind its token.

    Args:
        picture: the original.
        tiling: how it is cut.
        grid: feature rows and columns of a tile.
        overview: those of the global view; None: as `grid`.
        token_size: width and height of the pixels behind one token; what reaches beyond the view is padding.
        cell: side of a cell in pixels.
    """
    step = max(9 * token_size.width // cell, 1)
    fitted = placed(picture, tiling.placed, tiling.resolution, hatched(tiling.resolution, step=step))
    whole = placed(picture, tiling.placed_globally, tiling.overview, hatched(tiling.overview, step=step))

    def mosaic(view: Image.Image, cells: Grid) -> Image.Image:
        seen = hatched(Size(token_size.width * cells.cols, token_size.height * cells.rows), step=step)
        seen.paste(view, (0, 0))
        return seen.resize((cells.cols * cell, cells.rows * cell), Image.Resampling.LANCZOS, reducing_gap=3.0)

    return [mosaic(whole, overview or grid), *(mosaic(fitted.crop(box), grid) for box in tiling.boxes)]
