"""Grounded text: written and read back, damaged text reported, coordinates mapped both ways."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from vlkit.errors import InputError
from vlkit.processing import GroundedObject, Malformed, from_pixels, grounded, parse, render, to_pixels
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


@pytest.mark.parametrize(
    "list_",
    [
        "[1,2,3,4]",
        " [ [1 ,2, 3,4 ] ] ",
        "[[1,2,3,4],]",
        "[[1,\n2,3,4]]",
        "[[[1,2,3,4]]]",
        "[" * 8 + "1,2,3,4" + "]" * 8,
    ],
)
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


@st.composite
def nested(draw: st.DrawFn, items: list[Box], *, depth: int = 6) -> str:
    """Boxes in lists in lists."""
    if depth == 0 or (len(items) == 1 and draw(st.booleans())):
        return draw(st.sampled_from([", ", ",", " ,\n"])).join(f"[{', '.join(map(str, box))}]" for box in items)
    cut = draw(st.integers(0, len(items)))
    parts = [draw(nested(part, depth=depth - 1)) for part in (items[:cut], items[cut:]) if part]
    return f"[{', '.join(parts)}]"


@given(st.lists(boxes, min_size=1, max_size=6), st.data())
def test_boxes_in_lists_in_lists_are_found_in_order(items: list[Box], data: st.DataObject) -> None:
    found = parse(f"<|ref|>a<|/ref|><|det|>{data.draw(nested(items))}<|/det|>")
    assert found.objects == (GroundedObject("a", tuple(items)),)
    assert found.malformed == ()


def test_nesting_is_bounded() -> None:
    for depth, boxes_ in ((8, 1), (9, 0), (5000, 0)):
        found = parse(f"<|ref|>a<|/ref|><|det|>{'[' * depth}1,2,3,4{']' * depth}<|/det|>")
        assert sum(len(item.boxes) for item in found.objects) == boxes_
        assert [part.reason for part in found.malformed] == ["in more than 8 brackets"] * (1 - boxes_)


@pytest.mark.parametrize(
    ("list_", "wrong"),
    [
        ("[[1, 2, 3, 4], [9999, 1, 2, 3], [5, 6, 7, 8]]", ["[9999, 1, 2, 3]"]),
        ("[[1, 2, 3, 4], [4, 3, 2, 1]]", ["[4, 3, 2, 1]"]),
        ("[[1, 2, 3, 4], and [5, 6, 7, 8]]", ["and"]),
        ("[[1, 2, 3, 4]", ["[[1, 2, 3, 4]"]),
        ("[1, 2, 3, 4]]", ["]"]),
        ("[[1, 2, 3, 4], []]]]", ["[]", "]]"]),
        ("[[1, 2, 3, 4, 5], [1, 2, 3, 4]]", ["[1, 2, 3, 4, 5]"]),
    ],
)
def test_only_what_is_wrong_is_reported(list_: str, wrong: list[str]) -> None:
    text = f"<|ref|>a<|/ref|><|det|>{list_}<|/det|>"
    found = parse(text)
    assert [text[part.start : part.stop] for part in found.malformed] == wrong
    assert found.objects[0].boxes[0] == Box(1, 2, 3, 4)


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
    for piece in ("<|ref|>", "<|det|>", "[" * 7, " " * 7, "[1,", "[1 ", "]" * 7, "[]", "[1 2] x", ",", "[[1,2,3,4],"):
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


@given(boxes, sizes)
def test_pixels_survive_the_way_to_coordinates_and_back(box: Box, size: tuple[int, int]) -> None:
    pixels = to_pixels(box, size)
    back = to_pixels(from_pixels(pixels, size), size)
    for axis, value in enumerate(pixels):
        assert abs(back[axis] - value) <= 0.5 * size[axis % 2] / 999 + 0.5 + 1e-9
    assert all(0 <= side <= size[axis % 2] for axis, side in enumerate(pixels))
    assert pixels.left <= pixels.right and pixels.upper <= pixels.lower


@settings(max_examples=25)
@given(
    st.tuples(st.integers(8, 300), st.integers(8, 300)), st.sampled_from([(96, 96), (384, 384), (200, 90)]), st.data()
)
def test_padding_undone_is_the_padding_of_the_global_view(
    size: tuple[int, int], frame: tuple[int, int], data: st.DataObject
) -> None:
    """The official processor pads with Pillow's `ImageOps.pad`; what it draws is measured and mapped back."""
    across, down = (sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True))) for n in size)
    box = Box(across[0], down[0], across[1], down[1])
    picture = Image.new("L", size)
    picture.paste(255, box)
    padded = ImageOps.pad(picture, frame, method=Image.Resampling.BOX)
    seen = padded.point(lambda value: 255 * (value >= 128)).getbbox()
    scale = max(size[0] / frame[0], size[1] / frame[1])
    if seen is None:
        assert min(box.right - box.left, box.lower - box.upper) <= scale + 1
        return
    coordinates = Box(*(round(side * 999 / frame[axis % 2]) for axis, side in enumerate(seen)))
    back = to_pixels(coordinates, size, frame=frame)
    for axis, side in enumerate(box):
        assert abs(back[axis] - side) <= scale * (1 + 0.5 * frame[axis % 2] / 999) + 1
        assert abs(from_pixels(box, size, frame=frame)[axis] - coordinates[axis]) <= 999 / frame[axis % 2] * 1.5 + 1


def test_tags_are_seen_whole_or_in_pieces() -> None:
    assert grounded("x <|det|>") and grounded(render([GroundedObject("a", (Box(1, 2, 3, 4),))]))
    assert not grounded("a boat [[1, 2, 3, 4]] <|image|>")


def test_empty_pictures_are_refused() -> None:
    with pytest.raises(InputError):
        to_pixels(Box(0, 0, 1, 1), (0, 5))
    with pytest.raises(InputError):
        from_pixels(Box(0, 0, 1, 1), (5, 5), frame=(5, 0))
