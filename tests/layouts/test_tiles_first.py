"""DeepSeek-OCR's layout against nested loops over its rule and the published counts."""

import pytest
import torch
from hypothesis import given
from torch import Tensor

from tests.strategies import grids, normal, seeds
from vlkit.errors import ShapeError
from vlkit.layouts import TilesFirstConfig, layouts
from vlkit.notation import Grid


def naive(tiles_NYXD: Tensor, tiles: Grid, overview_YXD: Tensor, newline: Tensor, separator: Tensor) -> Tensor:
    """Whole picture row by row, global view row by row, a newline behind every row, and one separator at the end."""
    vectors = []
    if tiles.area > 1:
        for r in range(tiles.rows):
            for y in range(tiles_NYXD.shape[1]):
                for c in range(tiles.cols):
                    vectors += list(tiles_NYXD[r * tiles.cols + c, y])
                vectors.append(newline)
    for row in overview_YXD:
        vectors += [*row, newline]
    return torch.stack([*vectors, separator])


@given(grids(4), grids(4), grids(5), seeds)
def test_arrangement_is_the_one_of_nested_loops(tiles: Grid, grid: Grid, overview: Grid, seed: int) -> None:
    layout = layouts.build(TilesFirstConfig(), dim=3).double()
    used = layout.config.tile_count(tiles)
    x_NYXD, overviews_NYXD = normal(seed, used, *grid, 3), normal(seed + 1, 1, *overview, 3)
    newline, separator = (layout.get_parameter(name)[0] for name in ("image_newline", "view_separator"))
    expected = naive(x_NYXD, tiles, overviews_NYXD[0], newline, separator)
    assert torch.equal(layout(x_NYXD, [tiles], overviews_NYXD), expected)


@pytest.mark.parametrize(
    ("tiles", "side", "overview", "tokens"),
    [((1, 1), 8, 8, 73), ((1, 1), 10, 10, 111), ((1, 1), 16, 16, 273), ((1, 1), 20, 20, 421), ((2, 3), 10, 16, 893)],
)
def test_the_modes_take_the_published_number_of_tokens(
    tiles: tuple[int, int], side: int, overview: int, tokens: int
) -> None:
    assert TilesFirstConfig().count(Grid(*tiles), Grid(side, side), Grid(overview, overview)) == tokens


def test_a_tile_that_has_no_place_is_refused() -> None:
    layout = layouts.build(TilesFirstConfig(), dim=3)
    with pytest.raises(ShapeError, match=r"less what the layout drops"):
        layout(torch.zeros(2, 2, 2, 3), [Grid(1, 1)])
