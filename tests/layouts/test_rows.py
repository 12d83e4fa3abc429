"""The "2D" layout against nested loops over its rule."""

import pytest
import torch
from hypothesis import given
from torch import Tensor

from tests.strategies import grids, normal, seeds
from vlkit.layouts import Layout2DConfig, layouts
from vlkit.notation import Grid


def naive_rows(x_NYXD: Tensor, tiles: Grid, newline: Tensor, separator: Tensor, global_view: str) -> Tensor:
    """Global view row by row, separator, whole picture row by row; a newline ends every row."""
    rows, cols = x_NYXD.shape[1:3]
    overview = []
    for y in range(rows):
        overview += [x_NYXD[0, y, x] for x in range(cols)] + [newline]
    picture = []
    for r in range(tiles.rows):
        for y in range(rows):
            for c in range(tiles.cols):
                picture += [x_NYXD[1 + r * tiles.cols + c, y, x] for x in range(cols)]
            picture += [newline]
    parts = [overview, [separator], picture] if global_view == "head" else [picture, [separator], overview]
    return torch.stack([vector for part in parts for vector in part])


@pytest.mark.parametrize("global_view", ["head", "tail"])
@given(grids(4), grids(5), seeds)
def test_arrangement_is_the_one_of_nested_loops(global_view: str, tiles: Grid, grid: Grid, seed: int) -> None:
    layout = layouts.build(layouts.resolve("2D", global_view=global_view), dim=3).double()
    x_NYXD = normal(seed, 1 + tiles.area, *grid, 3)
    newline, separator = (layout.get_parameter(name)[0] for name in ("image_newline", "view_separator"))
    assert torch.equal(layout(x_NYXD, [tiles]), naive_rows(x_NYXD, tiles, newline, separator, global_view))


@given(grids(6), grids(14))
def test_count_follows_the_formula(tiles: Grid, grid: Grid) -> None:
    rows, cols = tiles.rows * grid.rows, tiles.cols * grid.cols
    for config in (Layout2DConfig(), Layout2DConfig(global_view="tail")):
        assert config.count(tiles, grid) == grid.rows * (grid.cols + 1) + 1 + rows * (cols + 1)


@pytest.mark.parametrize(("tiles", "tokens"), [((1, 1), 421), ((3, 3), 2017), ((9, 1), 2101), ((1, 9), 1989)])
def test_released_models_spend_the_published_number_of_tokens(tiles: tuple[int, int], tokens: int) -> None:
    assert Layout2DConfig().count(Grid(*tiles), Grid(14, 14)) == tokens
