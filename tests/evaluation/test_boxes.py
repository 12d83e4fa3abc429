"""Boxes against boxes: laws of the overlap, and of the pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlkit.evaluation import iou, match_boxes
from vlkit.processing import GroundedObject
from vlkit.tiling import Box

edges = st.lists(st.integers(0, 999), min_size=2, max_size=2).map(sorted)
boxes = st.builds(lambda across, down: Box(across[0], down[0], across[1], down[1]), edges, edges)
objects = st.lists(
    st.builds(GroundedObject, st.sampled_from(["fox", "dog"]), st.lists(boxes, min_size=1, max_size=3).map(tuple)),
    max_size=3,
)


def pixel_iou(first: Box, second: Box) -> float:
    """Overlap counted cell by cell."""
    cells = [
        {(x, y) for x in range(box.left, box.right) for y in range(box.upper, box.lower)} for box in (first, second)
    ]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])


@given(boxes, boxes)
def test_overlap_is_a_symmetric_share(first: Box, second: Box) -> None:
    assert 0.0 <= iou(first, second) == iou(second, first) <= 1.0
    assert (iou(first, second) == 1.0) == (first == second)


@given(boxes)
def test_identity(box: Box) -> None:
    assert iou(box, box) == 1.0


@given(boxes, boxes, st.integers(1, 5), st.integers(1, 5))
def test_stretching_the_picture_changes_nothing(first: Box, second: Box, across: int, down: int) -> None:
    stretched = [
        Box(box.left * across, box.upper * down, box.right * across, box.lower * down) for box in (first, second)
    ]
    assert iou(*stretched) == pytest.approx(iou(first, second))


small = st.lists(st.integers(0, 9), min_size=2, max_size=2, unique=True).map(sorted)
small_boxes = st.builds(lambda across, down: Box(across[0], down[0], across[1], down[1]), small, small)


@given(small_boxes, small_boxes)
def test_overlap_is_what_counting_gives(first: Box, second: Box) -> None:
    assert iou(first, second) == pytest.approx(pixel_iou(first, second))


def test_known_overlaps() -> None:
    assert iou(Box(0, 0, 10, 10), Box(5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert iou(Box(0, 0, 10, 10), Box(10, 0, 20, 10)) == 0.0
    assert iou(Box(5, 5, 5, 9), Box(5, 5, 5, 9)) == 1.0
    assert iou(Box(5, 5, 5, 9), Box(0, 0, 9, 9)) == 0.0


@given(objects)
def test_what_is_right_is_matched_in_full(items: list[GroundedObject]) -> None:
    match = match_boxes(items, items)
    assert match.overlaps == (1.0,) * match.expected
    assert match.answered == match.expected == match.hits(1.0)


@given(objects, objects)
def test_no_box_is_in_two_pairs(answer: list[GroundedObject], reference: list[GroundedObject]) -> None:
    match = match_boxes(answer, reference)
    assert sum(overlap > 0 for overlap in match.overlaps) <= min(match.answered, match.expected)
    assert all(0.0 <= overlap <= 1.0 for overlap in match.overlaps)
    assert match.hits(0.9) <= match.hits(0.5) <= match.expected


@given(objects, objects)
def test_order_of_the_answer_does_not_matter_for_different_overlaps(
    answer: list[GroundedObject], reference: list[GroundedObject]
) -> None:
    pairs = [iou(a, b) for x in answer for a in x.boxes for y in reference for b in y.boxes]
    if len(set(pairs)) == len(pairs):
        assert match_boxes(answer[::-1], reference).overlaps == match_boxes(answer, reference).overlaps


def test_the_largest_overlap_goes_first() -> None:
    right = [GroundedObject("a", (Box(0, 0, 10, 10), Box(6, 0, 16, 10)))]
    given_ = [GroundedObject("a", (Box(5, 0, 15, 10), Box(0, 0, 4, 10)))]
    overlaps = match_boxes(given_, right).overlaps
    assert overlaps == pytest.approx((0.4, 9 / 11))


def test_saying_a_box_twice_helps_nobody() -> None:
    right = [GroundedObject("a", (Box(0, 0, 10, 10), Box(20, 0, 30, 10)))]
    twice = [GroundedObject("a", (Box(0, 0, 10, 10),) * 2)]
    assert match_boxes(twice, right).overlaps == (1.0, 0.0)
    assert match_boxes(twice, right).answered == 2


def test_names_count_unless_they_are_not_to() -> None:
    right, other = [GroundedObject("a", (Box(0, 0, 9, 9),))], [GroundedObject("b", (Box(0, 0, 9, 9),))]
    assert match_boxes(other, right).overlaps == (0.0,)
    assert match_boxes(other, right, same_name=False).overlaps == (1.0,)
    loud = [GroundedObject(" A ", (Box(0, 0, 9, 9),))]
    assert match_boxes(loud, right).overlaps == (0.0,)
    assert match_boxes(loud, right, normalize=lambda name: name.strip().lower()).overlaps == (1.0,)
