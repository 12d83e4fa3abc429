"""The arrangement of a sequence in blocks: nothing lost, nothing twice, neighbours stay neighbours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing.layouts import BackwardsConfig, RowNumbersConfig, feature_grids, layouts, tile_grids
from vlkit.drawing import Block, arrange_blocks
from vlkit.layouts import Layout1DConfig, Layout2DConfig, LayoutConfig, TokenSource, trace
from vlkit.notation import Grid


def place(source: TokenSource, tiles: Grid, grid: Grid) -> tuple[bool, int, int]:
    assert source.view is not None
    row, col = divmod(max(source.view - 1, 0), tiles.cols)
    return source.view == 0, row * grid.rows + source.row, col * grid.cols + source.col


@given(layouts, tile_grids, feature_grids)
def test_reading_the_blocks_gives_the_sequence(layout: LayoutConfig, tiles: Grid, grid: Grid) -> None:
    cells = [cell for block in arrange_blocks(layout, tiles, grid) for cell in block.cells]
    assert [cell.position for cell in cells] == list(range(layout.count(tiles, grid)))
    assert [cell.source for cell in cells] == trace(layout, tiles, grid)


@given(layouts, tile_grids, feature_grids)
def test_cells_of_a_block_stand_side_by_side(layout: LayoutConfig, tiles: Grid, grid: Grid) -> None:
    for block in arrange_blocks(layout, tiles, grid):
        for row in block.rows:
            columns = [cell.column for cell in row.cells]
            assert columns == list(range(columns[0], columns[0] + len(columns)))
            assert columns[-1] < block.columns
            assert [cell.seams for cell in row.cells] == sorted(cell.seams for cell in row.cells)


@given(layouts, tile_grids, feature_grids)
def test_features_lie_in_a_block_as_in_the_picture(layout: LayoutConfig, tiles: Grid, grid: Grid) -> None:
    for block in arrange_blocks(layout, tiles, grid):
        offsets = set()
        for number, row in enumerate(block.rows):
            for cell in row.cells:
                if cell.source.view is not None and row.start:
                    in_global_view, y, x = place(cell.source, tiles, grid)
                    offsets.add((in_global_view, y - number, x - cell.column))
        assert len(offsets) <= 1


@given(tile_grids, feature_grids, st.sampled_from(["head", "tail"]))
def test_2d_is_two_pictures_of_rows_with_ends_and_a_separator_between(tiles: Grid, grid: Grid, where: str) -> None:
    blocks = arrange_blocks(Layout2DConfig(global_view=where), tiles, grid)
    overview, separator, stitched = blocks if where == "head" else blocks[::-1]
    assert (overview.views, len(overview.rows), overview.columns) == ([0], grid.rows, grid.cols + 1)
    assert (separator.views, len(separator.cells)) == ([], 1)
    assert stitched.views == list(range(1, 1 + tiles.area))
    assert (len(stitched.rows), stitched.columns) == (tiles.rows * grid.rows, tiles.cols * grid.cols + 1)
    assert stitched.seams == Grid(tiles.rows - 1, tiles.cols)
    for block in (overview, stitched):
        assert all(row.cells[-1].source.separator == "image_newline" for row in block.rows)


@given(tile_grids, feature_grids)
def test_1d_is_one_block_per_view_led_by_its_indicator(tiles: Grid, grid: Grid) -> None:
    blocks = arrange_blocks(Layout1DConfig(), tiles, grid)
    assert [block.views for block in blocks] == [[view] for view in range(1 + tiles.area)]
    for view, block in enumerate(blocks):
        assert block.cells[0].source == TokenSource(None, view, 0, "tile_indicators")
        assert {row.cells[-grid.cols].column for row in block.rows} == {1}
        assert len(block.rows) == grid.rows


@given(layouts, tile_grids, feature_grids, st.integers(1, 30))
def test_parts_of_a_block_hold_its_cells(layout: LayoutConfig, tiles: Grid, grid: Grid, rows: int) -> None:
    for block in arrange_blocks(layout, tiles, grid):
        parts = block.split(rows)
        assert [cell for part in parts for cell in part.cells] == block.cells
        assert max(len(part.rows) for part in parts) <= rows
        assert all(part.rows[0].seams == 0 for part in parts)


def test_a_sequence_without_order_is_wrapped_like_text() -> None:
    (block,) = arrange_blocks(BackwardsConfig(), Grid(2, 2), Grid(3, 4))
    assert [len(row.cells) for row in block.rows] == [8] * 7 + [5]
    assert {row.start for row in block.rows} == {None}


def test_rows_with_indicators_of_their_own_stay_a_picture() -> None:
    overview, stitched, lower = arrange_blocks(RowNumbersConfig(), Grid(2, 1), Grid(3, 4))
    assert (overview.views, stitched.views, lower.views) == ([0], [1], [2])
    for block in (overview, stitched, lower):
        assert [row.cells[0].source.separator for row in block.rows] == ["rows"] * 3
        assert [row.cells[0].column for row in block.rows] == [0] * 3


@pytest.mark.parametrize(("rows", "lengths"), [(1, [1, 1, 1, 1]), (3, [3, 1]), (9, [4])])
def test_split(rows: int, lengths: list[int]) -> None:
    stitched: Block = arrange_blocks(Layout2DConfig(), Grid(2, 1), Grid(2, 2))[2]
    assert [len(part.rows) for part in stitched.split(rows)] == lengths
