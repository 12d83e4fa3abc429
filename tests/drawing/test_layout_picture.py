"""The finished picture: every feature drawn once with its own pixels, at any tile grid and layout."""

import pytest
from hypothesis import given, settings
from PIL import Image

from tests.drawing.layouts import feature_grids, layouts, tile_grids
from vlkit.drawing import draw_layout
from vlkit.drawing.blocks import arrange_blocks
from vlkit.drawing.canvas import SEPARATORS, Canvas
from vlkit.drawing.flow import SEAM, Flow, arrange
from vlkit.drawing.token_path import TokenPath
from vlkit.drawing.views import token_mosaics
from vlkit.errors import InputError
from vlkit.layouts import Layout1DConfig, Layout2DConfig, LayoutConfig
from vlkit.notation import Grid, Size
from vlkit.tiling import Box, Tiling

SIDE = 56


def gradient(size: Size) -> Image.Image:
    """Picture in which red tells the column, green the row and blue nothing."""
    across = Image.linear_gradient("L").rotate(90).resize(size)
    down = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (across, down, Image.new("L", size, 128)))


def tiling_of(tiles: Grid, *, image_size: Size | None = None) -> Tiling:
    resolution = Size(tiles.cols * SIDE, tiles.rows * SIDE)
    return Tiling(image_size or resolution, Size(SIDE, SIDE), resolution)


class Recorder(Canvas):
    """Canvas that remembers where pictures are put."""

    def __init__(self, size: Size) -> None:
        super().__init__(size, scale=1)
        self.pictures: list[tuple[int, int, Image.Image]] = []

    def picture(self, image: Image.Image, x: int, y: int) -> None:
        self.pictures.append((x, y, image))
        super().picture(image, x, y)


def drawn_path(layout: LayoutConfig, tiles: Grid, grid: Grid) -> tuple[Recorder, Flow]:
    blocks = arrange_blocks(layout, tiles, grid)
    flow = arrange(blocks, tiles=tiles, grid=grid, width=900, height=700)
    token = Size(-(-SIDE // grid.cols), -(-SIDE // grid.rows))
    tiling = tiling_of(tiles)
    picture = gradient(tiling.image_size)
    mosaics = token_mosaics(picture, tiling, grid, token_size=token, cell=flow.drawn_cell)
    colors = dict(zip(layout.separators(), SEPARATORS, strict=False))
    canvas = Recorder(Size(flow.size.width + 20, flow.size.height + 20))
    TokenPath(flow, mosaics, tiles, colors).draw(canvas, 10, 10)
    return canvas, flow


@given(layouts, tile_grids, feature_grids)
@settings(max_examples=15)
def test_every_feature_is_drawn_once_and_nowhere_over_another(layout: LayoutConfig, tiles: Grid, grid: Grid) -> None:
    canvas, flow = drawn_path(layout, tiles, grid)
    covered = Image.new("L", canvas.image.size)
    for x, y, image in canvas.pictures:
        assert image.size == (flow.drawn_cell, flow.drawn_cell)
        covered.paste(255, (x, y, x + image.width, y + image.height))
    assert len(canvas.pictures) == (1 + tiles.area) * grid.area
    assert covered.histogram()[255] == len(canvas.pictures) * flow.drawn_cell**2


@pytest.mark.parametrize("layout", [Layout2DConfig(), Layout2DConfig(global_view="tail"), Layout1DConfig()])
@pytest.mark.parametrize("tiles", [Grid(1, 1), Grid(2, 3), Grid(3, 1)], ids=str)
def test_a_cell_shows_the_very_pixels_behind_its_token(layout: LayoutConfig, tiles: Grid) -> None:
    grid = Grid(4, 4)
    canvas, flow = drawn_path(layout, tiles, grid)
    tiling, step = tiling_of(tiles), SIDE // 4
    drawn = {(x, y): image for x, y, image in canvas.pictures}
    for placed in flow.blocks:
        for number, row in enumerate(placed.block.rows):
            for cell in row.cells:
                if cell.source.view is None:
                    continue
                left, upper = cell.source.col * step, cell.source.row * step
                box = Box(left, upper, left + step, upper + step)
                source = tiling.source_box(cell.source.view, box)
                x = 10 + placed.x + cell.column * flow.cell + cell.seams * SEAM
                y = 10 + placed.y + number * flow.cell + row.seams * SEAM
                shown = drawn[x, y].resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
                assert isinstance(shown, tuple)
                size = tiling.image_size
                expected = (
                    (source.left + source.right) / 2 / size.width,
                    (source.upper + source.lower) / 2 / size.height,
                )
                if tiles.rows == tiles.cols or cell.source.view:
                    assert abs(shown[0] / 255 - expected[0]) < 0.03
                    assert abs(shown[1] / 255 - expected[1]) < 0.03


@given(layouts, tile_grids, feature_grids)
@settings(max_examples=10)
def test_any_tile_grid_and_layout_can_be_drawn(layout: LayoutConfig, tiles: Grid, grid: Grid) -> None:
    image_size = Size(tiles.cols * 40, tiles.rows * 50)
    image = draw_layout(gradient(image_size), tiling_of(tiles, image_size=image_size), layout, grid, scale=1)
    assert image.mode == "RGB"
    assert image.width == 1200
    assert 300 < image.height < 1500


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_scale_gives_more_pixels_and_nothing_else(scale: int) -> None:
    tiling = Tiling.choose((100, 62), [(56, 56), (112, 56)])
    image = draw_layout(gradient(Size(100, 62)), tiling, Layout2DConfig(), Grid(4, 4), scale=scale)
    assert image.width == 1200 * scale
    assert image.height % scale == 0


def test_a_picture_too_thin_for_its_frame_is_all_padding() -> None:
    tiling = Tiling.choose((2000, 1), [(56, 56)])
    draw_layout(Image.new("RGB", (2000, 1)), tiling, Layout1DConfig(), Grid(2, 2), scale=1)


def test_what_cannot_be_drawn_is_refused_before_memory_is_taken() -> None:
    picture = Image.new("RGB", (8, 8))
    with pytest.raises(InputError, match="features"):
        draw_layout(picture, tiling_of(Grid(3, 3)), Layout2DConfig(), Grid(100, 100))
    huge = Tiling(Size(8, 8), Size(2**15, 2**15), Size(2**15, 2**15))
    with pytest.raises(InputError, match="pixels"):
        draw_layout(picture, huge, Layout2DConfig(), Grid(2, 2))
    with pytest.raises(InputError, match="pixels"):
        draw_layout(picture, tiling_of(Grid(1, 1)), Layout2DConfig(), Grid(1, 30_000))
