"""The sheet of failures: one card for each, with pictures, texts and boxes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.drawing.test_boxes import bounds, grey
from vlkit.drawing import Failure, draw_failures
from vlkit.drawing.failures import ANSWERED, PICTURE, RIGHT
from vlkit.tiling import Box


def failure(*sizes: Sequence[int], **fields: Any) -> Failure:
    texts = {"origin": "set, line 3", "question": "What?", "reference": "RED", "answer": "BLUE", **fields}
    return Failure(tuple(grey(*size) for size in sizes), **texts)


def test_each_failure_adds_to_the_sheet() -> None:
    heights = [draw_failures([failure((80, 60))] * count, title="Wrong", scale=1).height for count in (0, 1, 2, 3)]
    steps = {after - before for before, after in pairwise(heights)}
    assert len(steps) == 1 and steps.pop() > PICTURE.height
    assert draw_failures([], title="None", scale=2).width == 1920


def test_boxes_lie_where_they_are_on_the_shown_picture() -> None:
    wrong = failure((100, 60), reference_boxes=[Box(10, 10, 30, 30)], answer_boxes=[Box(50, 30, 90, 50)])
    sheet = draw_failures([wrong], title="", scale=1)
    plain = draw_failures([failure((100, 60))], title="", scale=1)
    left, upper, right, lower = bounds(plain.crop((0, 100, 420, plain.height)), "#808080") or Box(0, 0, 0, 0)
    shown = sheet.crop((0, 100, 420, sheet.height))
    for color, box in ((RIGHT, Box(10, 10, 30, 30)), (ANSWERED, Box(50, 30, 90, 50))):
        found, across, down = bounds(shown, color), (right - left) / 100, (lower - upper) / 60
        assert found is not None
        wanted = (
            left + box.left * across,
            upper + box.upper * down,
            left + box.right * across,
            upper + box.lower * down,
        )
        assert all(abs(side - place) <= 5 for side, place in zip(found, wanted))


def test_several_pictures_share_the_room_and_have_no_boxes() -> None:
    one = draw_failures([failure((80, 60))], title="", scale=1)
    for count in (2, 9):
        sheet = draw_failures([failure(*[(80, 60)] * count, answer_boxes=[Box(0, 0, 40, 40)])], title="", scale=1)
        shown = sheet.crop((0, 100, 420, sheet.height))
        assert bounds(shown, "#808080") is not None and bounds(shown, ANSWERED) is None
        assert sheet.height <= one.height + 10


@settings(max_examples=8)
@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), max_size=5),
    st.text(max_size=40) | st.just("x" * 5000) | st.just("word " * 900),
)
def test_any_texts_and_pictures_are_drawn_on_a_sheet_of_bounded_height(sizes: list[tuple[int, int]], text: str) -> None:
    sheet = draw_failures([failure(*sizes, question=text, reference=text, answer=text)], title=text, scale=1)
    assert sheet.width == 960 and sheet.height < 700


def test_the_same_failures_give_the_same_sheet() -> None:
    sheets = [draw_failures([failure((80, 60), (1, 300))], title="Wrong") for _ in range(2)]
    assert sheets[0].tobytes() == sheets[1].tobytes()
    assert isinstance(sheets[0], Image.Image)
