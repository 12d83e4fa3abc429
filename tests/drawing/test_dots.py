"""Dots with intervals."""

import pytest
from PIL import ImageColor

from vlkit.drawing.curves import COLORS, WIDTH
from vlkit.drawing.dots import Dot, Dots, draw_dots
from vlkit.drawing.stacking import stacked
from vlkit.errors import InputError


def places(picture, color: str) -> list[int]:  # type: ignore[no-untyped-def]
    """Columns in which a colour occurs."""
    wanted = ImageColor.getrgb(color)
    pixels = picture.load()
    return [x for x in range(picture.width) if any(pixels[x, y] == wanted for y in range(picture.height))]


def test_larger_values_stand_further_right_and_intervals_are_as_wide_as_they_are() -> None:
    measure = Dots("loss", [Dot(1.0), Dot(2.0, 1.5, 3.0), Dot(4.0)])
    picture = draw_dots(["a", "b", "c"], [measure], title="loss", scale=1)
    first, second, third = (places(picture, color) for color in COLORS[:3])
    assert max(first) < min(second) < max(second) < min(third)
    assert max(second) - min(second) > 3 * (max(first) - min(first))


def test_differences_stand_beside_with_a_line_at_zero() -> None:
    values = [Dot(1.0), Dot(2.0)]
    alone = draw_dots(["a", "b"], [Dots("loss", values)], title="loss", scale=1)
    beside = draw_dots(["a", "b"], [Dots("loss", values, [Dot(None), Dot(1.0, 0.5, 1.5)])], title="loss", scale=1)
    assert alone.size == beside.size
    assert max(places(beside, COLORS[1])) - min(places(beside, COLORS[1])) > 300


def test_on_one_axis_values_are_as_far_apart_as_they_differ_and_on_their_own_each_measure_fills_its_own() -> None:
    small, large = Dots("small", [Dot(1.0), Dot(2.0)]), Dots("large", [Dot(1.0), Dot(9.0)])
    for same_axis, least, most in ((True, 400, WIDTH), (False, 0, 200)):
        picture = draw_dots(["a", "b"], [small, large], title="both", same_axis=same_axis, scale=1)
        columns = places(picture, COLORS[1])
        assert least < max(columns) - min(columns) < most


@pytest.mark.parametrize(("names", "measures"), [([], []), (["a"], []), (["a"], [Dots("x", [])])])
def test_nothing_to_draw_is_refused(names: list[str], measures: list[Dots]) -> None:
    with pytest.raises(InputError, match="a value for each thing"):
        draw_dots(names, measures, title="none")


def test_equal_and_unknown_values_can_be_drawn() -> None:
    draw_dots(
        ["a", "b"], [Dots("x", [Dot(0.0), Dot(None)]), Dots("y", [Dot(2.0), Dot(2.0, 2.0, 2.0, [2.0])])], title=""
    )


def test_pictures_are_stacked_from_above_to_below() -> None:
    one = draw_dots(["a"], [Dots("x", [Dot(1.0)])], title="one", scale=1)
    whole = stacked([one, one])
    assert whole.size == (one.width, 2 * one.height)
    assert whole.crop((0, one.height, one.width, 2 * one.height)).tobytes() == one.tobytes()
