"""One picture of the way from pixels to tokens: how an image is cut, and what stands where in the sequence."""

from __future__ import annotations

from collections import Counter
from itertools import cycle

from PIL import Image

from vlkit.drawing.blocks import arrange_blocks
from vlkit.drawing.canvas import SEPARATORS, TILE, Canvas, hatched
from vlkit.drawing.captions import HEADER_HEIGHT, Legend, draw_header, draw_rule
from vlkit.drawing.flow import arrange
from vlkit.drawing.frames import Frames
from vlkit.drawing.token_path import TokenPath
from vlkit.drawing.views import token_mosaics
from vlkit.errors import InputError
from vlkit.layouts import LayoutConfig, trace
from vlkit.notation import Grid, Size
from vlkit.tiling import Tiling

MOST_FEATURES, MOST_PIXELS = 2**16, 2**26
"""Most features that are drawn, and most pixels of a fitted or finished picture."""
WIDTH, MARGIN, GAP = 1200, 36, 30
FRAMES_WIDTH, FRAMES_HEIGHT, BODY_HEIGHT = 340, 360, 760
SECTION_HEIGHT = 34


def draw_layout(
    picture: Image.Image,
    tiling: Tiling,
    layout: LayoutConfig,
    grid: Grid,
    overview: Grid | None = None,
    *,
    token_size: Size | None = None,
    title: str = "From pixels to tokens",
    scale: int = 2,
) -> Image.Image:
    """Picture that shows how an image is cut and laid out as tokens.

    Args:
        picture: the original, in RGB.
        tiling: how it is cut.
        layout: arranges the features; any layout can be drawn.
        grid: feature rows and columns of a tile.
        overview: those of the global view; None: as `grid`.
        token_size: width and height of the pixels behind one token; None: the tile's share.
        title: first line.
        scale: pixels per unit; the result is 1200 units wide, more only if the tokens need it.

    Raises:
        InputError: if there are too many features, or too large tiles, to be drawn.
    """
    tile, tiles, overview = tiling.tile_size, tiling.grid, overview or grid
    cut = layout.tile_count(tiles) > 0
    _require_drawable(tiling, layout.features(tiles, grid, overview))
    token_size = token_size or Size(-(-tile.width // grid.cols), -(-tile.height // grid.rows))
    blocks, area = arrange_blocks(layout, tiles, grid, overview), WIDTH - 2 * MARGIN

    left, upper = MARGIN, HEADER_HEIGHT + SECTION_HEIGHT
    if tiling.resolution.width <= 2 * tiling.resolution.height or not cut:
        frames = Frames.of(tiling, width=FRAMES_WIDTH, height=BODY_HEIGHT, cut=cut)
        path_left, path_upper = left + frames.size.width + 2 * GAP, upper
    else:
        frames = Frames.in_row(tiling, width=area, height=FRAMES_HEIGHT)
        path_left, path_upper = left, upper + frames.size.height + GAP + SECTION_HEIGHT
    flow = arrange(blocks, tiles=tiles, grid=grid, width=WIDTH - MARGIN - path_left, height=BODY_HEIGHT)
    lower = max(upper + frames.size.height, path_upper + flow.size.height) + GAP

    colors = dict(zip(layout.separators(), cycle(SEPARATORS)))
    mosaics = token_mosaics(picture, tiling, grid, overview, token_size=token_size, cell=flow.drawn_cell * scale)
    legend = Legend(_entries(layout, tiling, grid, overview, colors, mosaics[0]), width=area)
    size = Size(max(WIDTH, path_left + flow.size.width + MARGIN), lower + legend.height + MARGIN // 2)
    _require_pixels(Size(size.width * scale, size.height * scale))
    canvas = Canvas(size, scale=scale)
    draw_header(canvas, title, _steps(layout, tiling, grid, overview), margin=MARGIN)
    canvas.text(left, upper - SECTION_HEIGHT, "What the encoder sees", size=17)
    frames.draw(canvas, picture, left, upper)
    canvas.text(path_left, path_upper - SECTION_HEIGHT, "What the decoder reads", size=17)
    TokenPath(flow, mosaics, tiles, colors).draw(canvas, path_left, path_upper)
    draw_rule(canvas, lower - GAP // 2, margin=MARGIN)
    legend.draw(canvas, left, lower)
    return canvas.image


def _require_drawable(tiling: Tiling, features: int) -> None:
    if features > MOST_FEATURES:
        raise InputError(f"{features} features", rule=f"at most {MOST_FEATURES} can be drawn", remedy="use fewer tiles")
    _require_pixels(tiling.resolution)


def _require_pixels(size: Size) -> None:
    if size.width * size.height > MOST_PIXELS:
        raise InputError(f"a picture of {size} pixels", rule=f"at most {MOST_PIXELS} pixels can be drawn")


def _steps(layout: LayoutConfig, tiling: Tiling, grid: Grid, overview: Grid) -> list[tuple[str, str]]:
    tiles, tokens = tiling.grid, f"{layout.count(tiling.grid, grid, overview)} tokens"
    if not layout.tile_count(tiles):
        return [
            (f"{tiling.image_size}", "pixels of the picture"),
            (f"{tiling.overview}", "stretched, not cut" if tiling.global_fit == "stretch" else "fitted, not cut"),
            (f"{overview.rows} x {overview.cols} features", "of the global view"),
            (tokens, "line by line"),
        ]
    features = f"{grid.rows} x {grid.cols} features"
    return [
        (f"{tiling.image_size}", "pixels of the picture"),
        (f"{tiling.resolution}", "stretched" if tiling.fit == "stretch" else "fitted and padded"),
        (f"{tiles.rows} x {tiles.cols} tile{'s' * (tiles.area > 1)}", "and the global view"),
        (features, "of every view" if overview == grid else f"of a tile, {overview.rows} x {overview.cols} globally"),
        (tokens, "line by line, block by block"),
    ]


def _entries(
    layout: LayoutConfig,
    tiling: Tiling,
    grid: Grid,
    overview: Grid,
    colors: dict[str, str],
    mosaic: Image.Image,
) -> list[tuple[str | Image.Image, str]]:
    counts = Counter(source.separator for source in trace(layout, tiling.grid, grid, overview))
    width, height = mosaic.width // overview.cols, mosaic.height // overview.rows
    left, upper = overview.cols // 2 * width, overview.rows // 2 * height
    return [
        (mosaic.crop((left, upper, left + width, upper + height)), f"{counts[None]} features: the pixels behind them"),
        *((color, f"{counts[name]} {name}") for name, color in colors.items() if counts[name]),
        (hatched(Size(84, 84), step=36), "padding: no picture"),
        *([(TILE, "r,c: tile in row r, column c")] if layout.tile_count(tiling.grid) else []),
    ]
