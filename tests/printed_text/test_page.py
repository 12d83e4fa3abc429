"""Printed pages: the same pixels every time, and boxes and middles that are where the ink is."""

from dataclasses import replace

import pytest
from PIL import ImageChops

from vlkit.notation import Size
from vlkit.printed_text.page import Page, render
from vlkit.tiling import Box

PAGE = Page(
    size=Size(180, 80),
    lines=(("AB", "1234"), ("XYZ",)),
    face="pillow",
    font_size=22,
    start=(20, 8),
    leading=32,
    angle=0.0,
    ink=(0, 0, 0),
    paper=(255, 255, 255),
    noise=0.0,
    noise_at=(0, 0),
)


@pytest.mark.parametrize("angle", [0.0, 4.0, -3.0])
def test_boxes_hold_all_of_the_ink_and_nothing_else(angle: float) -> None:
    page = replace(PAGE, angle=angle)
    printed = render(page)
    assert [word for word, _ in printed.words] == ["AB", "1234", "XYZ"]
    assert printed.text == "AB 1234\nXYZ"
    white = printed.image.copy()
    for _, box in printed.words:
        assert ImageChops.invert(printed.image.convert("L")).crop(box).getbbox() == (
            0,
            0,
            box.right - box.left,
            box.lower - box.upper,
        )
        white.paste((255, 255, 255), box)
    assert white.getcolors() == [(180 * 80, (255, 255, 255))]


def test_each_character_has_its_middle_inside_the_box_of_its_word_from_left_to_right() -> None:
    printed = render(replace(PAGE, angle=2.0))
    assert "".join(letter for letter, _, _ in printed.characters) == "AB1234XYZ"
    at = iter(printed.characters)
    for word, box in printed.words:
        places = [next(at)[1:] for _ in word]
        assert places == sorted(places)
        assert all(box.left < x < box.right and box.upper < y < box.lower for x, y in places)


def test_a_pitch_puts_every_character_into_its_own_place() -> None:
    printed = render(replace(PAGE, lines=(("ABC",),), pitch=40))
    assert [x for _, x, _ in printed.characters] == [40.0, 80.0, 120.0]
    assert printed.words[0][1].left > 20


def test_pages_are_repeatable_and_noise_leaves_the_text_where_it_was() -> None:
    noisy = replace(PAGE, noise=0.2, noise_at=(5, 9))
    first, second = render(noisy), render(noisy)
    assert first.image.tobytes() == second.image.tobytes()
    assert first.words == render(PAGE).words
    assert first.image.tobytes() != render(PAGE).image.tobytes()


def test_overlapping_words_do_not_erase_each_other() -> None:
    one, both = render(replace(PAGE, lines=(("WWW",),))), render(replace(PAGE, lines=(("WWW",), ("WWW",)), leading=6))
    box: Box = one.words[0][1]
    assert ImageChops.subtract(both.image.crop(box), one.image.crop(box)).getbbox() is None
