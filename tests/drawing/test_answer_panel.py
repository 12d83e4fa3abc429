"""The panel of answers: boxes in their places, believed or not, and any text in a panel of bounded height."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.drawing.test_boxes import bounds, grey
from vlkit.drawing import GivenAnswer, draw_answers
from vlkit.drawing.answer_panel import FOUND, MARGIN, PICTURE, ROOM, SURE, UNSURE
from vlkit.tiling import Box

GREY = "#808080"


def answer(*boxes: Box, believed: bool = True, **fields: Any) -> GivenAnswer:
    texts = {"question": "What?", "answer": "AB 12", "probability": 0.9, **fields}
    return GivenAnswer(**texts, believed=believed, boxes=boxes)


def panel(*answers: GivenAnswer, picture: Image.Image | None = None, **options: Any) -> Image.Image:
    return draw_answers(picture or grey(280, 140), answers, **{"least": 0.8, "scale": 1, **options})


def test_boxes_lie_in_their_places_in_the_colours_of_their_answers() -> None:
    first, second = Box(20, 30, 120, 60), Box(150, 80, 270, 130)
    drawn, plain = panel(answer(), answer(first), answer(second)), panel(answer())
    area = bounds(plain, GREY)
    assert area is not None and area.right - area.left == PICTURE.width - 2
    scale = (area.right - area.left) / 280
    for box, color in zip((first, second), FOUND):
        found = bounds(drawn.crop(area), color)
        assert found is not None
        sides = (box.left * scale - ROOM, box.upper * scale - ROOM, box.right * scale + ROOM, box.lower * scale + ROOM)
        assert all(abs(side - wanted) <= 3 for side, wanted in zip(found, sides))
        assert bounds(drawn.crop((area.right + 1, 0, *drawn.size)), color) is not None


def test_what_is_not_believed_has_no_box_and_another_colour() -> None:
    sure, unsure = panel(answer(Box(0, 0, 100, 50))), panel(answer(Box(0, 0, 100, 50), believed=False))
    assert bounds(sure, FOUND[0]) and bounds(sure, SURE) and not bounds(sure, UNSURE)
    assert not bounds(unsure, FOUND[0]) and not bounds(unsure, SURE) and bounds(unsure, UNSURE)


def test_bars_are_as_long_as_probabilities() -> None:
    lengths = []
    for probability in (0.0, 0.25, 0.5, 1.0):
        right = panel(answer(probability=probability)).crop((MARGIN + PICTURE.width, 0, 860, 400))
        found = bounds(right, SURE)
        assert found is not None
        lengths.append(found.right - found.left)
    assert lengths[1] == pytest.approx(lengths[3] / 4, abs=2)
    assert lengths[2] == pytest.approx(lengths[3] / 2, abs=2)
    assert lengths[0] < lengths[1]


def test_a_box_that_leaves_the_picture_is_cut_off() -> None:
    drawn, plain = panel(answer(Box(-50, -50, 900, 900))), panel(answer())
    area, found = bounds(plain, GREY), bounds(drawn.crop((0, 0, MARGIN + PICTURE.width, drawn.height)), FOUND[0])
    assert area is not None and found is not None
    assert all(abs(side - wanted) <= 2 for side, wanted in zip(found, area))


def test_a_note_stands_below_the_answers() -> None:
    shown = [answer()] * 4
    assert panel(*shown, note="word " * 40).height > panel(*shown).height


@pytest.mark.parametrize("scale", [1, 2])
def test_the_panel_has_the_width_that_is_asked_for(scale: int) -> None:
    assert panel(answer(), width=1300, scale=scale).width == 1300 * scale


@settings(max_examples=10)
@given(
    st.tuples(st.integers(1, 500), st.integers(1, 500)),
    st.text(max_size=40) | st.sampled_from(["x" * 5000, "word " * 900, "\n" * 50, "红狐狸 \x1b[31m", ""]),
    st.booleans(),
)
def test_any_text_and_picture_is_drawn_on_a_panel_of_bounded_height(
    size: tuple[int, int], text: str, believed: bool
) -> None:
    given = answer(Box(0, 0, *size), question=text, answer=text, believed=believed)
    drawn = panel(given, picture=grey(*size), note=text)
    assert drawn.width == 1200 and drawn.height < 700


def test_the_same_answers_give_the_same_panel() -> None:
    drawn = [panel(answer(Box(3, 4, 50, 60)), note="A note.").tobytes() for _ in range(2)]
    assert drawn[0] == drawn[1]
