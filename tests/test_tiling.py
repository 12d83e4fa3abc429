"""Laws of the choice of a resolution, of cutting, and of the way back to the picture's pixels."""

import json
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.parity import GOLDEN
from tests.strategies import grids
from vlkit.errors import ConfigError, InputError
from vlkit.notation import Grid, Size
from vlkit.tiling import (
    Box,
    Tiling,
    fit_inside,
    fit_inside_floor,
    select_best_resolution,
    split_into_tiles,
    tile_grid,
)

sizes = st.tuples(st.integers(1, 120), st.integers(1, 120))


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    """Pictures on the best of some candidates, tiles need not be square."""
    tile = draw(st.tuples(st.integers(4, 24), st.integers(4, 24)))
    candidates = [tile] + [(c * tile[0], r * tile[1]) for r, c in draw(st.lists(grids(4), max_size=4))]
    tiling = Tiling.choose(draw(sizes), candidates)
    for frame in (tiling.tile_size, tiling.resolution):
        placed = fit_inside(tiling.image_size, frame)
        assume(placed.right > placed.left and placed.lower > placed.upper)
    return tiling


def naive_best(size: tuple[int, int], candidates: list[tuple[int, int]]) -> tuple[int, int]:
    """The rule of the paper as a loop that keeps the best so far."""
    best, best_effective, best_wasted = candidates[0], -1, 0
    for width, height in candidates:
        scale = min(width / size[0], height / size[1])
        effective = min(int(size[0] * scale) * int(size[1] * scale), size[0] * size[1])
        wasted = width * height - effective
        if effective > best_effective or (effective == best_effective and wasted < best_wasted):
            best, best_effective, best_wasted = (width, height), effective, wasted
    return best


def test_best_resolution_is_the_official_one() -> None:
    table = json.loads((GOLDEN / "a8_processor" / "best_resolution.json").read_text())
    candidates = [tuple(pair) for pair in table["candidate_resolutions"]]
    assert len(table["rows"]) == 300
    for width, height, *best in table["rows"]:
        assert select_best_resolution((width, height), candidates) == tuple(best), (width, height)


@given(sizes, st.lists(sizes, min_size=1, max_size=8))
def test_best_resolution_keeps_most_pixels_then_wastes_least_and_the_first_wins(
    size: tuple[int, int], candidates: list[tuple[int, int]]
) -> None:
    assert select_best_resolution(size, candidates) == naive_best(size, candidates)


@pytest.mark.parametrize(("size", "candidates"), [((0, 5), [(4, 4)]), ((5, -1), [(4, 4)]), ((5, 5), [])])
def test_empty_pictures_and_empty_choices_are_refused(size: tuple[int, int], candidates: list[tuple[int, int]]) -> None:
    with pytest.raises(InputError, match="at least"):
        select_best_resolution(size, candidates)


@given(grids(5), st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_tiles_partition_the_resolution_row_by_row(tiles: Grid, tile: tuple[int, int]) -> None:
    width, height = tiles.cols * tile[0], tiles.rows * tile[1]
    boxes = split_into_tiles((width, height), tile)
    pixels = [(x, y) for box in boxes for y in range(box.upper, box.lower) for x in range(box.left, box.right)]
    assert sorted(pixels) == sorted((x, y) for x in range(width) for y in range(height))
    assert [(box.upper, box.left) for box in boxes] == sorted((box.upper, box.left) for box in boxes)
    assert all((box.right - box.left, box.lower - box.upper) == tile for box in boxes)
    assert tile_grid((width, height), tile) == tiles


@pytest.mark.parametrize("resolution", [(10, 8), (8, 10), (0, 8), (8, -8)])
def test_resolutions_that_are_not_whole_tiles_are_refused(resolution: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="whole number of tiles"):
        split_into_tiles(resolution, (4, 4))


@given(sizes, sizes)
def test_picture_lies_where_pillow_pads_it(size: tuple[int, int], frame: tuple[int, int]) -> None:
    try:
        found = ImageOps.pad(Image.new("L", size, 255), frame, color=0).getbbox()
    except ValueError:  # older versions of Pillow refuse pictures that would be scaled to nothing
        found = None
    box = fit_inside(size, frame)
    if box.right > box.left and box.lower > box.upper:
        assert box == found
    else:
        assert found is None


@given(sizes, sizes, st.integers(1, 20))
def test_rounded_down_a_picture_keeps_its_ratio_or_the_least_side(
    size: tuple[int, int], frame: tuple[int, int], least: int
) -> None:
    box = fit_inside_floor(size, frame, least_side=least)
    scaled = (box.right - box.left, box.lower - box.upper)
    scale = min(frame[0] / size[0], frame[1] / size[1])
    for side, length, most in zip(scaled, size, frame, strict=True):
        assert side == min(least, most) or abs(side + 0.5 - length * scale) <= 0.5 + 1e-9
    assert scaled[0] == frame[0] or scaled[1] == frame[1]
    assert (box.left, box.upper) == tuple((most - side) // 2 for side, most in zip(scaled, frame, strict=True))


def test_a_tiling_says_where_pictures_that_are_rounded_down_lie() -> None:
    tiling = Tiling(Size(90, 61), Size(48, 48), Size(96, 48), fit="pad_floor", global_fit="pad_floor", least_side=4)
    assert tiling.placed_globally == Box(0, 8, 48, 40)
    assert tiling.placed == Box(13, 0, 83, 48)
    assert tiling.source_box(0, Box(0, 8, 24, 24)) == Box(0, 0, 45, 30)
    thin = Tiling(Size(1000, 1), Size(48, 48), Size(48, 48), global_fit="pad_floor", least_side=4)
    assert thin.placed_globally == Box(0, 22, 48, 26)


def test_without_crop_the_tile_is_the_only_resolution() -> None:
    tiling = Tiling.choose((900, 300), [(384, 384), (1152, 384)], crop=False)
    assert (tiling.grid, tiling.resolution, tiling.boxes) == (Grid(1, 1), Size(384, 384), (Box(0, 0, 384, 384),))
    assert Tiling.choose((900, 300), [(384, 384), (1152, 384)]).grid == Grid(1, 3)


@given(tilings(), st.data())
def test_source_of_any_box_stays_inside_the_picture(tiling: Tiling, data: st.DataObject) -> None:
    view = data.draw(st.integers(0, tiling.grid.area))
    left, right = sorted(data.draw(st.tuples(*[st.integers(0, tiling.tile_size.width)] * 2)))
    upper, lower = sorted(data.draw(st.tuples(*[st.integers(0, tiling.tile_size.height)] * 2)))
    source = tiling.source_box(view, Box(left, upper, right, lower))
    assert 0 <= source.left <= source.right <= tiling.image_size.width
    assert 0 <= source.upper <= source.lower <= tiling.image_size.height


@given(tilings(), st.integers(1, 9))
def test_cells_of_the_global_view_and_of_the_tiles_cover_the_picture_without_overlap(tiling: Tiling, cell: int) -> None:
    width, height = tiling.tile_size
    columns = [(x, min(x + cell, width)) for x in range(0, width, cell)]
    rows = [(y, min(y + cell, height)) for y in range(0, height, cell)]
    across_tiles, down_tiles = range(tiling.grid.cols), range(tiling.grid.rows)
    tiles = [[1 + r * tiling.grid.cols + c for c in across_tiles] for r in down_tiles]
    for views in ([[0]], tiles):
        across = [tiling.source_box(v, Box(a, 0, b, height)) for v in views[0] for a, b in columns]
        down = [tiling.source_box(line[0], Box(0, a, width, b)) for line in views for a, b in rows]
        assert (across[0].left, across[-1].right) == (0, tiling.image_size.width)
        assert (down[0].upper, down[-1].lower) == (0, tiling.image_size.height)
        assert all(a.right == b.left for a, b in pairwise(across))
        assert all(a.lower == b.upper for a, b in pairwise(down))


@given(tilings(), st.data())
def test_source_of_a_box_inside_the_picture_is_exact_to_half_a_pixel(tiling: Tiling, data: st.DataObject) -> None:
    view = data.draw(st.integers(0, tiling.grid.area))
    placed = fit_inside(tiling.image_size, tiling.tile_size if view == 0 else tiling.resolution)
    tile = Box(0, 0, *tiling.tile_size) if view == 0 else tiling.boxes[view - 1]
    left, right = max(placed.left, tile.left), min(placed.right, tile.right)
    upper, lower = max(placed.upper, tile.upper), min(placed.lower, tile.lower)
    assume(left < right and upper < lower)
    box = Box(left - tile.left, upper - tile.upper, right - tile.left, lower - tile.upper)
    source = tiling.source_box(view, box)
    across = Fraction(tiling.image_size.width, placed.right - placed.left)
    down = Fraction(tiling.image_size.height, placed.lower - placed.upper)
    exact_x = [(left - placed.left) * across, (right - placed.left) * across]
    exact_y = [(upper - placed.upper) * down, (lower - placed.upper) * down]
    assert all(abs(a - b) <= Fraction(1, 2) for a, b in zip((source.left, source.right), exact_x, strict=True))
    assert all(abs(a - b) <= Fraction(1, 2) for a, b in zip((source.upper, source.lower), exact_y, strict=True))


def test_source_of_a_picture_too_thin_to_show_is_empty() -> None:
    tiling = Tiling(Size(1000, 1), Size(8, 8), Size(8, 8))
    assert tiling.source_box(0, Box(0, 0, 8, 8)) == Box(0, 0, 1000, 0)
