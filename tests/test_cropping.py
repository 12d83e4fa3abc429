"""Crop policies, lists of candidates, and the rule of the closest ratio."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import grids
from vlkit.cropping import (
    AnyCropPolicy,
    CropAlways,
    CropAtMost,
    CropFewImages,
    CropLargeImages,
    CropNever,
    Cropping,
)
from vlkit.errors import ConfigError, InputError
from vlkit.notation import Grid, Size
from vlkit.tiling import Box, official_resolutions, resolutions_up_to, select_closest_ratio, tile_grid

sizes = st.tuples(st.integers(1, 3000), st.integers(1, 3000))
policies = st.one_of(
    st.builds(CropFewImages, most_images=st.integers(1, 4)),
    st.just(CropAlways()),
    st.just(CropNever()),
    st.builds(CropAtMost, tiles=st.integers(1, 9)),
    st.builds(CropLargeImages, side=st.integers(1, 2000)),
)
NINE = official_resolutions(96)


@given(policies, sizes, st.integers(1, 5), st.sampled_from(["best_resolution", "closest_ratio"]))
def test_the_tiling_is_one_that_the_policy_allows(
    policy: AnyCropPolicy, size: tuple[int, int], images: int, choice: Any
) -> None:
    allowed = policy.allowed(NINE, image_size=Size(*size), images=images)
    tiling = Cropping(policy=policy, choice=choice).tiling(size, NINE, images=images)
    assert allowed and set(allowed) <= set(NINE)
    assert tiling.resolution in allowed
    assert (tiling.tile_size, tiling.image_size) == (NINE[0], size)


@pytest.mark.parametrize(
    ("policy", "size", "images", "most", "cut"),
    [
        (CropFewImages(), (900, 900), 2, 9, True),
        (CropFewImages(), (900, 900), 3, 1, False),
        (CropAlways(), (900, 900), 50, 9, True),
        (CropNever(), (900, 900), 1, 1, False),
        (CropAtMost(tiles=4), (900, 900), 50, 4, True),
        (CropLargeImages(side=640), (640, 640), 1, 1, False),
        (CropLargeImages(side=640), (641, 10), 1, 9, True),
    ],
)
def test_policies_say_when_a_picture_is_cut(
    policy: AnyCropPolicy, size: tuple[int, int], images: int, most: int, cut: bool
) -> None:
    allowed = policy.allowed(NINE, image_size=Size(*size), images=images)
    tiles = [tile_grid(resolution, NINE[0]).area for resolution in allowed]
    assert max(tiles) == most
    assert (Cropping(policy=policy).tiling(size, NINE, images=images).grid.area > 1) is cut


def test_the_caller_overrules_the_policy() -> None:
    assert Cropping(policy=CropNever()).tiling((288, 96), NINE, crop=True).grid == Grid(1, 3)
    assert Cropping(policy=CropAlways()).tiling((288, 96), NINE, crop=False).grid == Grid(1, 1)


def test_a_large_picture_stays_whole_if_there_is_no_grid_to_cut_it_into() -> None:
    assert Cropping(policy=CropLargeImages(side=1)).tiling((900, 300), NINE[:1]).grid == Grid(1, 1)


def test_stretched_pictures_fill_their_frames() -> None:
    cropping = Cropping(fit="stretch", global_fit="pad")
    tiling = cropping.tiling((288, 96), NINE, global_view_size=(200, 100))
    assert tiling.placed == Box(0, 0, *tiling.resolution)
    assert (tiling.overview, tiling.placed_globally) == (Size(200, 100), Box(0, 16, 200, 83))
    assert tiling.source_box(0, Box(0, 16, 200, 83)) == Box(0, 0, 288, 96)
    assert tiling.source_box(1, Box(0, 0, *tiling.tile_size)) == Box(0, 0, 96, 96)


def test_pictures_keep_a_least_side() -> None:
    cropping = Cropping(global_fit="pad_floor", least_side=14)
    assert cropping.tiling((1000, 1), NINE[:1]).placed_globally == Box(0, 41, 96, 55)
    assert Cropping(global_fit="pad_floor").tiling((1000, 1), NINE[:1]).placed_globally == Box(0, 47, 96, 48)


def test_without_candidates_there_is_no_tiling() -> None:
    with pytest.raises(InputError, match="candidate_resolutions is empty"):
        Cropping().tiling((10, 10), [])


@given(policies, st.sampled_from(["pad", "pad_floor", "stretch"]))
def test_configs_come_back_from_json(policy: AnyCropPolicy, fit: Any) -> None:
    config = Cropping(policy=policy, fit=fit)
    assert Cropping.model_validate_json(config.model_dump_json()) == config


def test_unknown_policies_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"policy.*few_images"):
        Cropping.model_validate({"policy": {"type": "sometimes"}})


@given(st.integers(1, 12), st.integers(1, 5), st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_candidates_are_all_grids_within_the_limits(most: int, least: int, tile: tuple[int, int]) -> None:
    found = [tile_grid(resolution, tile) for resolution in resolutions_up_to(most, tile, least=least)]
    expected = {(r, c) for r in range(1, most + 1) for c in range(1, most + 1) if max(least, 2) <= r * c <= most}
    assert found[0] == (1, 1)
    assert sorted(found[1:]) == sorted(expected)
    assert [tiles.area for tiles in found] == sorted(tiles.area for tiles in found)


def test_the_official_candidates_are_all_with_up_to_nine_tiles() -> None:
    assert sorted(official_resolutions(384)) == sorted(resolutions_up_to(9, (384, 384)))
    assert official_resolutions(384)[:3] == ((384, 384), (384, 768), (768, 384))


@given(sizes, st.lists(grids(9), min_size=1, max_size=9))
def test_the_closest_ratio_is_chosen(size: tuple[int, int], tiles: list[Grid]) -> None:
    candidates = [(grid.cols * 7, grid.rows * 5) for grid in tiles]
    chosen = tile_grid(select_closest_ratio(size, candidates, (7, 5)), (7, 5))
    assert chosen in tiles
    ratio = size[0] / size[1]
    assert abs(ratio - chosen.cols / chosen.rows) == min(abs(ratio - grid.cols / grid.rows) for grid in tiles)


@pytest.mark.parametrize(("side", "tiles"), [(905, 1), (906, 4)])
def test_among_equal_ratios_more_tiles_are_for_pictures_with_more_than_half_their_pixels(side: int, tiles: int) -> None:
    chosen = select_closest_ratio((side, side), [(640, 640), (1280, 1280)], (640, 640))
    assert tile_grid(chosen, (640, 640)).area == tiles
