"""The "plain" layout: the features as they come, and nothing else."""

from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import grids, normal, seeds
from vlkit.layouts import PlainConfig, layouts
from vlkit.notation import Grid


@pytest.mark.parametrize("global_view", ["head", "tail"])
@given(grids(4), grids(4), grids(4), st.booleans(), seeds)
def test_views_follow_one_another(
    global_view: Literal["head", "tail"], tiles: Grid, grid: Grid, overview: Grid, single: bool, seed: int
) -> None:
    config = PlainConfig(global_view=global_view, single_tile=single)
    layout = layouts.build(config, dim=3)
    used = tiles.area if tiles.area > 1 or single else 0
    x_NYXD, overviews_NYXD = normal(seed, used, *grid, 3), normal(seed + 1, 1, *overview, 3)
    views = [overviews_NYXD.view(-1, 3), x_NYXD.view(-1, 3)]
    expected = torch.cat(views if global_view == "head" else views[::-1])
    assert torch.equal(layout(x_NYXD, [tiles], overviews_NYXD), expected)
    assert list(layout.parameters()) == []


def test_a_picture_of_one_view_is_its_grid() -> None:
    assert PlainConfig().count(Grid(1, 1), Grid(24, 24)) == 576
