"""The "1D" layout against loops over its rule, and its limit of tiles."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.strategies import grids, normal, seeds
from vlkit.errors import ConfigError
from vlkit.layouts import Layout1DConfig, layouts
from vlkit.notation import Grid


def naive_views(x_NYXD: Tensor, indicators: Tensor, global_view: str) -> Tensor:
    """Every view behind its own indicator."""
    order = list(range(len(x_NYXD)))
    order = order if global_view == "head" else [*order[1:], 0]
    vectors = []
    for view in order:
        vectors.append(indicators[view])
        for row in x_NYXD[view]:
            vectors += list(row)
    return torch.stack(vectors)


@pytest.mark.parametrize("global_view", ["head", "tail"])
@given(grids(4), grids(4), seeds)
def test_arrangement_is_the_one_of_loops(global_view: str, tiles: Grid, grid: Grid, seed: int) -> None:
    layout = layouts.build(layouts.resolve("1D", global_view=global_view), dim=3).double()
    x_NYXD = normal(seed, 1 + tiles.area, *grid, 3)
    expected = naive_views(x_NYXD, layout.get_parameter("tile_indicators"), global_view)
    assert torch.equal(layout(x_NYXD, [tiles]), expected)


@given(st.integers(1, 30), grids(30))
def test_every_tile_grid_up_to_max_tiles_is_arranged_and_no_other(max_tiles: int, tiles: Grid) -> None:
    config = Layout1DConfig(max_tiles=max_tiles)
    if tiles.area <= max_tiles:
        config.check([tiles])
        assert config.count(tiles, Grid(2, 3)) == (1 + tiles.area) * 7
    else:
        for attempt in (lambda: config.check([tiles]), lambda: config.count(tiles, Grid(2, 3))):
            with pytest.raises(ConfigError, match=f"set max_tiles to {tiles.area} or more"):
                attempt()


@given(grids(5), st.integers(0, 5))
def test_there_is_one_indicator_per_view(tiles: Grid, spare: int) -> None:
    layout = layouts.build(Layout1DConfig(max_tiles=tiles.area + spare), dim=2)
    assert layout.get_parameter("tile_indicators").shape == (1 + tiles.area + spare, 2)
    used = layout.config.plan(tiles, Grid(1, 1)) - (1 + tiles.area)
    assert sorted(used[used >= 0].tolist()) == list(range(1 + tiles.area))


def test_an_image_with_too_many_tiles_is_refused_in_the_model() -> None:
    layout = layouts.build(Layout1DConfig(max_tiles=2), dim=2)
    with pytest.raises(ConfigError, match="3x1 = 3 tiles"):
        layout(torch.zeros(4, 1, 1, 2), [Grid(3, 1)])
