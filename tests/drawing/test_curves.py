"""Curves: every point has its place, and scales hold what is drawn."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlkit.drawing import Curve, Panel, draw_curves
from vlkit.drawing.curves import COLORS, ticks
from vlkit.errors import InputError

values = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))


@given(values, values)
def test_ticks_are_even_and_hold_both_ends(first: float, second: float) -> None:
    least, most = sorted((first, second))
    found = ticks(least, most)
    slack = 1e-6 * max(abs(least), abs(most), 1)
    assert found[0] <= least + slack and most <= found[-1] + slack
    assert 2 <= len(found) <= 9
    steps = [later - earlier for earlier, later in pairwise(found)]
    assert min(steps) > 0 and max(steps) - min(steps) < 1e-6 * max(abs(found[0]), abs(found[-1]), 1)


def test_ticks_are_round() -> None:
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert ticks(0.13, 0.92) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]


def test_each_panel_and_curve_is_drawn_in_its_colour() -> None:
    falling = Curve("loss", [(step, math.exp(-step / 30)) for step in range(100)])
    few = Curve("held out", [(50, 0.4), (99, 0.3)])
    picture = draw_curves([Panel([falling, few], least=0), Panel([falling])], title="a run", axis="step", scale=1)
    colors = {color for _, color in picture.getcolors(2**20) or []}
    for color in COLORS[:2]:
        assert tuple(int(color[at : at + 2], 16) for at in (1, 3, 5)) in colors
    one = draw_curves([Panel([falling])], title="a run", axis="step", scale=1)
    assert picture.width == one.width == 900
    assert picture.height > 1.5 * one.height


@pytest.mark.parametrize("points", [[], [(3, 1.0)], [(1, 2.0), (2, 2.0)], [(1, math.nan), (2, math.inf), (3, 1.0)]])
def test_few_equal_and_infinite_values_are_drawn(points: list[tuple[float, float]]) -> None:
    assert draw_curves([Panel([Curve("a", points)])], title="", axis="step", scale=1).width == 900


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="1 to 6"):
        draw_curves([], title="", axis="step")
    with pytest.raises(InputError, match="1 to 6"):
        draw_curves([Panel([Curve("a", [])] * 7)], title="", axis="step")
