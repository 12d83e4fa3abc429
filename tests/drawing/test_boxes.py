"""Named boxes on pictures: outlines in their places, labels readable, any size of picture, any name."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from vlkit.drawing import draw_boxes
from vlkit.drawing.outlines import COLORS, contrast
from vlkit.errors import InputError
from vlkit.processing import GroundedObject, from_pixels
from vlkit.tiling import Box


def grey(*size: int) -> Image.Image:
    return Image.new("RGB", (size[0], size[1]), "#808080")


def rgb(color: str) -> tuple[int, ...]:
    return tuple(int(color[start : start + 2], 16) for start in (1, 3, 5))


def bounds(image: Image.Image, color: str) -> Box | None:
    """Smallest box around the pixels of a colour."""
    wanted = rgb(color)
    found = [(x, y) for y in range(image.height) for x in range(image.width) if image.getpixel((x, y)) == wanted]
    if not found:
        return None
    xs, ys = zip(*found)
    return Box(min(xs), min(ys), max(xs) + 1, max(ys) + 1)


def named(name: str, *boxes: Box, size: tuple[int, int]) -> GroundedObject:
    return GroundedObject(name, tuple(from_pixels(box, size) for box in boxes))


def test_an_outline_lies_in_its_place_and_leaves_the_rest() -> None:
    picture = grey(600, 400)
    drawn = draw_boxes(picture, [named("", Box(100, 150, 300, 350), size=(600, 400))])
    found = bounds(drawn, COLORS[0])
    assert found is not None
    assert all(abs(side - wanted) <= 3 for side, wanted in zip(found, (100, 150, 300, 350)))
    assert drawn.getpixel((200, 250)) == drawn.getpixel((50, 50)) == rgb("#808080")
    assert bounds(picture, COLORS[0]) is None


def test_padding_of_a_frame_is_undone() -> None:
    drawn = draw_boxes(grey(600, 300), [GroundedObject("", (Box(0, 250, 499, 749),))], frame=(384, 384))
    found = bounds(drawn, COLORS[0])
    assert found is not None
    assert all(abs(side - wanted) <= 3 for side, wanted in zip(found, (0, 0, 300, 300)))


def test_objects_of_one_name_have_one_colour_and_others_another() -> None:
    size = (600, 400)
    boxes = [Box(x, 50, x + 60, 110) for x in (10, 110, 210)]
    objects = [named(name, box, size=size) for name, box in zip(("a", "b", "a "), boxes)]
    drawn = draw_boxes(grey(*size), objects)
    first, second = bounds(drawn, COLORS[0]), bounds(drawn, COLORS[1])
    assert first is not None and second is not None
    assert first.left < 20 and first.right > 260
    assert second.left > 100 and second.right < 180
    assert bounds(drawn, COLORS[2]) is None


def test_labels_are_written_above_their_boxes() -> None:
    size = (600, 400)
    with_name = draw_boxes(grey(*size), [named("boat", Box(100, 150, 300, 350), size=size)])
    without = draw_boxes(grey(*size), [named("", Box(100, 150, 300, 350), size=size)])
    label, outline = bounds(with_name, COLORS[0]), bounds(without, COLORS[0])
    assert label is not None and outline is not None
    assert outline.upper - 30 < label.upper < outline.upper - 10
    assert label.lower == outline.lower


@pytest.mark.parametrize("color", COLORS)
def test_labels_can_be_read(color: str) -> None:
    def luminance(name: str) -> float:
        parts = [part / 255 for part in rgb(name)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(color), luminance(contrast(color))))
    assert (light + 0.05) / (dark + 0.05) >= 3.4  # large text needs 3 (WCAG 2.1)


@pytest.mark.parametrize(
    ("size", "drawn"),
    [((50, 40), (450, 360)), ((480, 20), (480, 20)), ((480, 9), (480, 9)), ((2000, 900), (2000, 900))],
)
def test_small_pictures_are_enlarged_by_whole_numbers(size: tuple[int, int], drawn: tuple[int, int]) -> None:
    assert draw_boxes(grey(*size), [GroundedObject("", (Box(0, 0, 999, 999),))]).size == drawn


def test_a_name_without_room_is_explained_below() -> None:
    size = (100, 1000)
    objects = [GroundedObject("a very long name for such a narrow picture", (Box(100, 100, 900, 300),))]
    drawn = draw_boxes(grey(*size), objects)
    assert drawn.width == 240 and drawn.height > 1000
    assert drawn.getpixel((230, 10)) == (255, 255, 255)
    assert drawn.crop((0, 1000, 240, drawn.height)).getcolors(1) is None


names = st.text(max_size=30) | st.sampled_from(["红狐狸", "\x1b[31m", "a\nb", "x" * 500, " "])
coordinates = st.tuples(*[st.integers(0, 999)] * 4).map(
    lambda four: Box(min(four[0], four[2]), min(four[1], four[3]), max(four[0], four[2]), max(four[1], four[3]))
)
sizes = st.tuples(st.integers(1, 700), st.integers(1, 700)) | st.sampled_from([(1, 900), (900, 1), (1, 1)])


@settings(max_examples=30)
@given(sizes, st.lists(st.builds(GroundedObject, names, st.lists(coordinates, max_size=3).map(tuple)), max_size=9))
def test_any_picture_with_any_objects_is_drawn(size: tuple[int, int], objects: list[GroundedObject]) -> None:
    drawn = draw_boxes(grey(*size), objects)
    assert drawn.mode == "RGB"
    assert drawn.width >= size[0] and drawn.height >= size[1]
    if not any(item.boxes for item in objects):
        assert drawn.getcolors() == [(drawn.width * drawn.height, rgb("#808080"))]


def test_a_font_file_is_used_for_labels_and_legend(tmp_path: Path) -> None:
    default = ImageFont.load_default(20)
    assert isinstance(default, ImageFont.FreeTypeFont)
    (tmp_path / "own.ttf").write_bytes(default.font_bytes)
    objects = [GroundedObject(name, (Box(100, 100, 900, 300),)) for name in ("fox", "a long name for this picture")]
    with_file = draw_boxes(grey(100, 1000), objects, font=tmp_path / "own.ttf")
    assert with_file.size == draw_boxes(grey(100, 1000), objects).size


def test_what_is_no_font_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be used as a font"):
        draw_boxes(grey(50, 50), [], font="no-such-font.ttf")
