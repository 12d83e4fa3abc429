"""Where blocks go: in reading order, apart from each other, inside the area."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.drawing.layouts import feature_grids, layouts, tile_grids
from vlkit.drawing.blocks import arrange_blocks
from vlkit.drawing.canvas import text_width
from vlkit.drawing.flow import LABEL_HEIGHT, LABEL_SIZE, PlacedBlock, arrange, block_size
from vlkit.layouts import Layout2DConfig, LayoutConfig, TilesFirstConfig
from vlkit.notation import Grid
from vlkit.tiling import Box


def outer(placed: PlacedBlock, cell: int) -> Box:
    """Box around a block and its two lines of text."""
    width, height = block_size(placed.block, cell)
    width = max(width, *(round(text_width(text, LABEL_SIZE)) for text in (placed.title, placed.positions)))
    return Box(placed.x, placed.y - LABEL_HEIGHT, placed.x + width, placed.y + height)


@given(layouts, tile_grids, feature_grids, st.integers(500, 1200), st.integers(300, 800))
def test_blocks_keep_apart_and_inside(layout: LayoutConfig, tiles: Grid, grid: Grid, width: int, height: int) -> None:
    flow = arrange(arrange_blocks(layout, tiles, grid), tiles=tiles, grid=grid, width=width, height=height)
    boxes = [outer(placed, flow.cell) for placed in flow.blocks]
    for before, box in pairwise(boxes):
        same_line = before.upper == box.upper and before.right < box.left
        assert same_line or (box.left == 0 and all(other.lower < box.upper for other in boxes[: boxes.index(box)]))
    assert max(box.right for box in boxes) == flow.size.width
    assert max(box.lower for box in boxes) == flow.size.height
    if flow.cell > 2:
        assert flow.size.width <= width
        assert flow.size.height <= height


@given(layouts, tile_grids, feature_grids)
def test_all_tokens_are_placed_in_order(layout: LayoutConfig, tiles: Grid, grid: Grid) -> None:
    flow = arrange(arrange_blocks(layout, tiles, grid), tiles=tiles, grid=grid, width=700, height=500)
    positions = [cell.position for placed in flow.blocks for cell in placed.block.cells]
    assert positions == list(range(layout.count(tiles, grid)))


def test_labels_name_views_and_positions() -> None:
    tiles, grid = Grid(2, 3), Grid(14, 14)
    blocks = arrange_blocks(Layout2DConfig(), tiles, grid)
    flow = arrange(blocks, tiles=tiles, grid=grid, width=1100, height=700)
    assert [(placed.title, placed.positions) for placed in flow.blocks] == [
        ("global view", "tokens 0..209"),
        ("", "210"),
        ("tiles 1,1 to 2,3", "tokens 211..1414"),
    ]


def test_high_pictures_are_broken_between_tiles_to_have_larger_cells() -> None:
    tiles, grid = Grid(9, 1), Grid(14, 14)
    blocks = arrange_blocks(Layout2DConfig(), tiles, grid)
    flow = arrange(blocks, tiles=tiles, grid=grid, width=750, height=760)
    parts = [placed.block for placed in flow.blocks][2:]
    assert len(parts) > 1
    assert all(len(part.rows) % grid.rows == 0 for part in parts)
    assert flow.cell >= 8


def test_a_global_view_of_finer_grid_stays_whole() -> None:
    tiles, grid, overview = Grid(1, 1), Grid(10, 10), Grid(16, 16)
    blocks = arrange_blocks(TilesFirstConfig(), tiles, grid, overview)
    flow = arrange(blocks, tiles=tiles, grid=grid, width=750, height=760)
    assert [(placed.title, placed.positions) for placed in flow.blocks] == [
        ("global view", "tokens 0..271"),
        ("", "272"),
    ]
