"""Grounded text: written and read back, damaged text reported, coordinates mapped both ways."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlkit.errors import InputError
from vlkit.processing.grounding import GroundedObject, Malformed, from_pixels, parse, render, to_pixels
from vlkit.tiling import Box, fit_inside

edges = st.lists(st.integers(0, 999), min_size=2, max_size=2).map(sorted)
boxes = st.builds(lambda across, down: Box(across[0], down[0], across[1], down[1]), edges, edges)
names = st.text(max_size=12).filter(lambda name: "|>" not in name)
objects = st.builds(GroundedObject, names, st.lists(boxes, min_size=1, max_size=4).map(tuple))
sizes = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


@given(st.lists(objects, max_size=4), names)
def test_what_is_rendered_is_parsed(items: list[GroundedObject], between: str) -> None:
    found = parse(between + between.join(render([item]) for item in items))
    assert found.objects == tuple(items)
    assert found.malformed == ()


@given(st.lists(objects, min_size=1, max_size=3))
def test_what_is_parsed_is_rendered_as_the_model_writes(items: list[GroundedObject]) -> None:
    assert render(parse(render(items)).objects) == render(items)


@given(st.lists(st.sampled_from([*"<|ref|>", "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "[[1, 2, 3, 4]]", " x "])))
def test_any_text_is_parsed_and_tags_are_used_or_reported(pieces: list[str]) -> None:
    text = "".join(pieces)
    found = parse(text)
    reported = "".join(text[part.start : part.stop] for part in found.malformed)
    for tag in ("<|ref|>", "<|/det|>"):
        assert text.count(tag) <= len(found.objects) + reported.count(tag)
    assert all(0 <= part.start < part.stop <= len(text) or part.start == part.stop for part in found.malformed)


def test_official_form() -> None:
    found = parse("<|ref|>the red fox<|/ref|><|det|>[[12, 34, 560, 789], [0, 0, 999, 999]]<|/det|> and more")
    assert found.objects == (GroundedObject("the red fox", (Box(12, 34, 560, 789), Box(0, 0, 999, 999))),)
    assert found.malformed == ()


@pytest.mark.parametrize("list_", ["[1,2,3,4]", " [ [1 ,2, 3,4 ] ] ", "[[1,2,3,4],]", "[[1,\n2,3,4]]"])
def test_small_differences_in_form_are_tolerated(list_: str) -> None:
    found = parse(f"<|ref|>a<|/ref|> <|det|>{list_}<|/det|>")
    assert found.objects == (GroundedObject("a", (Box(1, 2, 3, 4),)),)
    assert found.malformed == ()


@pytest.mark.parametrize(
    "list_",
    [
        "",
        "[]",
        "[[]]",
        "[[1, 2, 3]]",
        "[[1, 2, 3, 4, 5]]",
        "[[1, 2, 3, 9999]]",
        "[[1, 2, 3, -4]]",
        "[[1, 2, 3, 4.5]]",
        "[[3, 2, 1, 4]]",
        "__import__('os')",
        "[[1, 2, 3, 4",
        "[[[[",
    ],
)
def test_bad_boxes_are_reported_and_good_ones_kept(list_: str) -> None:
    text = f"<|ref|>a<|/ref|><|det|>{list_}<|/det|><|ref|>b<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>"
    found = parse(text)
    assert [item.name for item in found.objects] == ["b"]
    assert found.malformed
    if list_.strip("[]") and list_.count("[") == list_.count("]"):
        mixed = parse(f"<|ref|>a<|/ref|><|det|>[[5, 6, 7, 8], {list_}]<|/det|>")
        assert mixed.objects == (GroundedObject("a", (Box(5, 6, 7, 8),)),)
        assert mixed.malformed


def test_incomplete_text_is_reported_where_it_stands() -> None:
    cut = "x <|ref|>a<|/ref|><|det|>[[1, 2, 3, 4]]"
    found = parse(cut)
    assert found.objects == ()
    assert [(part.start, part.stop) for part in found.malformed] == [(2, 10), (10, 18), (18, len(cut))]
    assert isinstance(found.malformed[0], Malformed)
    between = parse("<|ref|>a<|/ref|> is at <|det|>[[1, 2, 3, 4]]<|/det|>")
    assert between.objects == ()


def test_time_is_linear_in_hostile_text() -> None:
    start = time.perf_counter()
    for piece in ("<|ref|>", "<|det|>", "[" * 7, " " * 7, "[1,", "[1 "):
        parse(piece * 30_000)
        parse(f"<|ref|>a<|/ref|><|det|>{piece * 30_000}x<|/det|>")
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(
    "item",
    [
        GroundedObject("a", ()),
        GroundedObject("<|ref|>", (Box(1, 2, 3, 4),)),
        GroundedObject("a", (Box(1, 2, 3, 1000),)),
        GroundedObject("a", (Box(-1, 2, 3, 4),)),
        GroundedObject("a", (Box(4, 2, 3, 4),)),
    ],
)
def test_what_could_not_be_read_back_is_not_written(item: GroundedObject) -> None:
    with pytest.raises(InputError):
        render([item])


@given(boxes, sizes)
def test_pixels_lie_at_the_share_of_the_picture(box: Box, size: tuple[int, int]) -> None:
    placed = to_pixels(box, size)
    for axis, value in enumerate(box):
        assert abs(placed[axis] - value / 999 * size[axis % 2]) <= 0.5 + 1e-9


@given(boxes, st.tuples(st.integers(999, 4000), st.integers(999, 4000)))
def test_coordinates_survive_large_pictures(box: Box, size: tuple[int, int]) -> None:
    assert from_pixels(to_pixels(box, size), size) == box


@given(sizes, sizes, st.data())
def test_pixels_survive_padding_up_to_rounding(
    size: tuple[int, int], frame: tuple[int, int], data: st.DataObject
) -> None:
    left, right = sorted(data.draw(st.tuples(st.integers(0, size[0]), st.integers(0, size[0]))))
    upper, lower = sorted(data.draw(st.tuples(st.integers(0, size[1]), st.integers(0, size[1]))))
    box = Box(left, upper, right, lower)
    placed = fit_inside(size, frame)
    back = to_pixels(from_pixels(box, size, frame=frame), size, frame=frame)
    for axis, value in enumerate(box):
        side = placed[axis % 2 + 2] - placed[axis % 2]
        unit = frame[axis % 2] / 999 * size[axis % 2] / max(side, 1)
        assert abs(back[axis] - value) <= 0.5 * unit + 0.5 + 1e-6


def test_padding_is_taken_off() -> None:
    size, frame = (200, 100), (400, 400)
    assert to_pixels(Box(0, 0, 999, 999), size, frame=frame) == Box(0, 0, 200, 100)
    assert from_pixels(Box(0, 0, 200, 100), size, frame=frame) == Box(0, 250, 999, 749)
    assert to_pixels(Box(0, 250, 500, 749), size, frame=frame) == Box(0, 0, 100, 100)


def test_empty_pictures_are_refused() -> None:
    with pytest.raises(InputError):
        to_pixels(Box(0, 0, 1, 1), (0, 5))
    with pytest.raises(InputError):
        from_pixels(Box(0, 0, 1, 1), (5, 5), frame=(5, 0))
