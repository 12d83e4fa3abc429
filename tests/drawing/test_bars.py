"""Bars of a comparison: as long as their values, on a scale of each measure's own."""

import pytest
from PIL import Image

from vlkit.drawing import Bars, draw_bars
from vlkit.drawing.bars import COLORS
from vlkit.errors import InputError


def widths(image: Image.Image, color: str, rows: range) -> list[int]:
    """Most pixels of a colour in one line, for each of the bars in `rows`."""
    wanted = tuple(int(color[start : start + 2], 16) for start in (1, 3, 5))
    lines = [sum(image.getpixel((x, y)) == wanted for x in range(230, image.width)) for y in rows]
    return [width for before, width in zip([0, *lines], lines) if width > 8 >= before]


def test_bars_are_as_long_as_their_values() -> None:
    measures = [Bars("tokens", [100, 50], ["100", "50"]), Bars("bytes", [1e9, 2e9], ["1 G", "2 G"])]
    image = draw_bars(["one", "other"], measures, title="Two models", scale=1)
    legend = 100
    one, other = (widths(image, color, range(legend, image.height)) for color in COLORS[:2])
    assert len(one) == len(other) == 2
    assert one[0] == pytest.approx(2 * other[0], abs=8)
    assert other[1] == pytest.approx(2 * one[1], abs=8)


def test_unknown_values_have_no_bar() -> None:
    image = draw_bars(["one"], [Bars("parameters", [None], ["unknown"])], title="", scale=1)
    assert widths(image, COLORS[0], range(100, image.height)) == []


@pytest.mark.parametrize("models", [0, 7])
def test_more_models_than_colours_are_refused(models: int) -> None:
    with pytest.raises(InputError, match="side by side"):
        draw_bars(["model"] * models, [], title="")
