"""Laws of every layout: one plan of integers, from which count, arrangement and the way back follow."""

from collections.abc import Sequence
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.strategies import grids, normal, seeds
from vlkit.config import Config
from vlkit.errors import ShapeError
from vlkit.layouts import (
    AnyLayout,
    Layout,
    Layout1DConfig,
    Layout2DConfig,
    LayoutConfig,
    PlainConfig,
    TilesFirstConfig,
    TokenSource,
    layouts,
    trace,
)
from vlkit.notation import Grid

configs = st.one_of(
    st.builds(Layout2DConfig, global_view=st.sampled_from(["head", "tail"])),
    st.builds(Layout1DConfig, global_view=st.sampled_from(["head", "tail"])),
    st.builds(PlainConfig, global_view=st.sampled_from(["head", "tail"]), single_tile=st.booleans()),
    st.builds(TilesFirstConfig),
)
pictures = st.lists(grids(4), min_size=1, max_size=4)
overviews = st.none() | grids(5)


def views_of(config: LayoutConfig, tiles: Grid) -> int:
    """Views of one image that are encoded."""
    return 1 + config.tile_count(tiles)


def features(config: LayoutConfig, tile_grids: Sequence[Grid], grid: Grid, dim: int, seed: int) -> Tensor:
    """Random features float64[N, Y, X, D] of all views of all images."""
    return normal(seed, sum(views_of(config, tiles) for tiles in tile_grids), *grid, dim)


@given(configs, grids(4), grids(5), overviews)
def test_every_feature_stands_exactly_once(
    config: LayoutConfig, tiles: Grid, grid: Grid, overview: Grid | None
) -> None:
    total = (overview or grid).area + config.tile_count(tiles) * grid.area
    plan = config.plan(tiles, grid, overview).tolist()
    assert config.features(tiles, grid, overview) == total
    assert sorted(address for address in plan if address < total) == list(range(total))
    assert max(plan) < total + sum(config.separators().values())


@given(configs, grids(4), grids(5), seeds)
def test_count_is_the_length_of_the_arrangement(config: LayoutConfig, tiles: Grid, grid: Grid, seed: int) -> None:
    layout = layouts.build(config, dim=3).double()
    arranged = layout(features(config, [tiles], grid, 3, seed), [tiles])
    assert arranged.shape == (config.count(tiles, grid), 3)
    assert config.count(tiles, grid) == len(config.plan(tiles, grid))


@given(configs, pictures, grids(4), seeds)
def test_a_batch_is_each_image_alone(config: LayoutConfig, tile_grids: list[Grid], grid: Grid, seed: int) -> None:
    layout = layouts.build(config, dim=3).double()
    x_NYXD = features(config, tile_grids, grid, 3, seed)
    own = x_NYXD.split([views_of(config, tiles) for tiles in tile_grids])
    alone = [layout(views, [tiles]) for views, tiles in zip(own, tile_grids, strict=True)]
    assert torch.equal(layout(x_NYXD, tile_grids), torch.cat(alone))


@given(configs, pictures, grids(4), grids(5), seeds)
def test_global_views_of_their_own_grid_stand_where_the_plan_says(
    config: LayoutConfig, tile_grids: list[Grid], grid: Grid, overview: Grid, seed: int
) -> None:
    layout = layouts.build(config, dim=3).double()
    counts = [config.tile_count(tiles) for tiles in tile_grids]
    x_NYXD, overviews_NYXD = normal(seed, sum(counts), *grid, 3), normal(seed + 1, len(counts), *overview, 3)
    expected = []
    for own, whole, tiles in zip(x_NYXD.split(counts), overviews_NYXD, tile_grids, strict=True):
        rows = torch.cat([whole.view(-1, 3), own.reshape(-1, 3), *layout.parameters()])
        expected.append(rows[config.plan(tiles, grid, overview)])
    assert torch.equal(layout(x_NYXD, tile_grids, overviews_NYXD), torch.cat(expected))


@given(configs, pictures, grids(4), seeds)
def test_global_views_may_be_given_apart_or_in_front_of_their_tiles(
    config: LayoutConfig, tile_grids: list[Grid], grid: Grid, seed: int
) -> None:
    layout = layouts.build(config, dim=3).double()
    together = features(config, tile_grids, grid, 3, seed).split([views_of(config, tiles) for tiles in tile_grids])
    apart = torch.cat([own[1:] for own in together]), torch.stack([own[0] for own in together])
    assert torch.equal(layout(apart[0], tile_grids, apart[1]), layout(torch.cat(together), tile_grids))


@given(configs, grids(4), grids(5), overviews)
def test_trace_inverts_the_plan(config: LayoutConfig, tiles: Grid, grid: Grid, overview: Grid | None) -> None:
    first, addresses = config.features(tiles, grid, overview), {}
    for name, vectors in config.separators().items():
        addresses[name], first = first, first + vectors

    def address(source: TokenSource) -> int:
        if source.view is None:
            return addresses[str(source.separator)] + source.row
        if source.view == 0:
            return source.row * (overview or grid).cols + source.col
        return (overview or grid).area + (source.view - 1) * grid.area + source.row * grid.cols + source.col

    assert [address(source) for source in trace(config, tiles, grid, overview)] == (
        config.plan(tiles, grid, overview).tolist()
    )


@given(configs, grids(3), grids(3), seeds)
def test_gradient_reaches_every_feature_once_and_every_used_separator_as_often_as_it_stands(
    config: LayoutConfig, tiles: Grid, grid: Grid, seed: int
) -> None:
    layout = layouts.build(config, dim=2).double()
    x_NYXD = features(config, [tiles], grid, 2, seed).requires_grad_()
    layout(x_NYXD, [tiles]).sum().backward()
    assert torch.equal(x_NYXD.grad, torch.ones_like(x_NYXD))  # type: ignore[arg-type]
    sources = [source for source in trace(config, tiles, grid) if source.separator]
    for name, vectors in layout.named_parameters():
        stands = torch.tensor(
            [sum((s.separator, s.row) == (name, row) for s in sources) for row in range(len(vectors))]
        )
        assert torch.equal(vectors.grad[:, 0], stands.double())  # type: ignore[index]


def test_no_image_is_no_token() -> None:
    layout = layouts.build(Layout2DConfig(), dim=3)
    assert layout(torch.empty(0, 2, 2, 3), []).shape == (0, 3)


@pytest.mark.parametrize("shape", [(2, 2, 2, 3), (4, 2, 2, 3), (3, 2, 2, 4)])
def test_features_that_do_not_fit_the_tile_grids_are_refused(shape: tuple[int, ...]) -> None:
    layout = layouts.build(Layout2DConfig(), dim=3)
    with pytest.raises(ShapeError, match=r"one global view and r\*c tiles"):
        layout(torch.zeros(shape), [Grid(1, 2)])


def test_a_plan_is_made_once_and_where_it_can_be_read_whatever_the_default_device() -> None:
    config, tiles, grid = Layout2DConfig(global_view="tail"), Grid(1, 3), Grid(2, 31)
    with torch.device("meta"):
        first = config.plan(tiles, grid)
        of_batch = Layout(config, dim=2).batch_plan([tiles], grid)
    assert {part.device for part in (first, *of_batch[:3])} == {torch.device("cpu")}
    assert Layout2DConfig(global_view="tail").plan(tiles, grid) is first


def test_a_plan_made_in_inference_serves_training() -> None:
    layout, tiles = layouts.build(Layout2DConfig(), dim=2), Grid(3, 1)
    x_NYXD = torch.randn(4, 3, 11, 2, requires_grad=True)
    with torch.inference_mode():
        layout(x_NYXD, [tiles])
    layout(x_NYXD, [tiles]).sum().backward()
    assert x_NYXD.grad is not None


def test_separators_follow_the_features_dtype() -> None:
    layout = layouts.build(Layout1DConfig(), dim=2)
    assert layout(torch.zeros(2, 1, 1, 2, dtype=torch.bfloat16), [Grid(1, 1)]).dtype == torch.bfloat16


def test_reset_parameters_redraws_separators_with_the_width_s_deviation() -> None:
    layout = layouts.build(Layout1DConfig(max_tiles=99), dim=400)
    with torch.no_grad():
        for vectors in layout.parameters():
            vectors.fill_(torch.nan)
    layout.reset_parameters()
    drawn = torch.cat([vectors.flatten() for vectors in layout.parameters()])
    assert abs(drawn.std().item() * 400**0.5 - 1) < 0.02 and abs(drawn.mean().item()) < 0.001


def test_a_layout_of_few_lines_is_a_field_and_a_part() -> None:
    with layouts.scratch():

        class BareConfig(LayoutConfig):
            """Tiles after the global view, no separators."""

            type: Literal["bare"] = "bare"

            def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
                return torch.arange((1 + tiles.area) * grid.area)

        layouts.register(BareConfig)(Layout)

        class Holder(Config):
            """Has a field for any layout."""

            layout: AnyLayout

        config = Holder.model_validate({"layout": "bare"}).layout
        x_NYXD = torch.randn(3, 2, 2, 4)
        assert torch.equal(layouts.build(config, dim=4)(x_NYXD, [Grid(2, 1)]), x_NYXD.view(12, 4))
