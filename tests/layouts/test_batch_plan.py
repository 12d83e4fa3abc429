"""The plan of a batch says what the plans of its images say, one after the other."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import grids
from vlkit.layouts import Layout1DConfig, Layout2DConfig, LayoutConfig, PlainConfig, TilesFirstConfig, layouts
from vlkit.notation import Grid

configs = st.sampled_from([Layout2DConfig(), Layout2DConfig(global_view="tail"), Layout1DConfig(), TilesFirstConfig()])


@given(configs | st.just(PlainConfig()), st.lists(grids(4), max_size=4), grids(4), st.none() | grids(4))
def test_a_batch_s_plan_is_its_images_plans(
    config: LayoutConfig, tile_grids: list[Grid], grid: Grid, overview: Grid | None
) -> None:
    plan = layouts.build(config, dim=1).batch_plan(tile_grids, grid, overview)
    expected, features = list[tuple[str, int]](), 0
    for tiles in tile_grids:
        own = config.features(tiles, grid, overview)
        expected += [
            ("feature", features + address) if address < own else ("separator", address - own)
            for address in config.plan(tiles, grid, overview).tolist()
        ]
        features += own
    found = [("feature", address) for address in plan.feature_L.tolist()]
    for place, separator in zip(plan.place_S.tolist(), plan.separator_S.tolist(), strict=True):
        found[place] = ("separator", separator)
    assert (found, plan.features) == (expected, features)
    assert all(0 <= address < features for address in plan.feature_L.tolist())


def test_no_image_with_its_view_apart_is_no_token() -> None:
    layout = layouts.build(TilesFirstConfig(), dim=3)
    assert layout(torch.empty(0, 2, 2, 3), [], torch.empty(0, 4, 4, 3)).shape == (0, 3)


def test_plans_of_images_are_not_changed_by_their_batch() -> None:
    layout = layouts.build(Layout2DConfig(), dim=3)
    first = layout.batch_plan([Grid(1, 2)], Grid(2, 3))
    layout.batch_plan([Grid(2, 1), Grid(1, 2)], Grid(2, 3))
    again = layout.batch_plan([Grid(1, 2)], Grid(2, 3))
    assert all(map(torch.equal, first[:3], again[:3]))
