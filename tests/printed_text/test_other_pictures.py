"""Pictures without text of the task: so many, always the same, as large as pages, and none with the sign's text."""

from random import Random

import pytest
from PIL import Image

from vlkit.printed_text import other_pictures as module
from vlkit.printed_text.composing import PageConfig
from vlkit.printed_text.other_pictures import KINDS, SIGN, SMALL_LETTERS, other_pictures, photo_crop
from vlkit.printed_text.page import Page, Printed, render

PAGES = PageConfig(fonts=("pillow",))
MAGENTA = (255, 0, 255)


def test_there_are_so_many_of_each_kind_and_the_seed_decides_them() -> None:
    first, again, other = (other_pictures(PAGES, 5, seed=seed) for seed in (1, 1, 2))
    assert list(first) == list(KINDS)
    for kind, pictures in first.items():
        assert len(pictures) == 5 and {picture.mode for picture in pictures} == {"RGB"}
        assert [each.tobytes() for each in pictures] == [each.tobytes() for each in again[kind]]
        assert [each.tobytes() for each in pictures] != [each.tobytes() for each in other[kind]]


def test_all_but_crops_are_as_large_as_pages() -> None:
    pages = PAGES.replace(formats=((100, 50),), scale=(0.8, 1.0), trim=0.0)
    for kind, pictures in other_pictures(pages, 20).items():
        if kind != "crops of a drawing":
            assert all(
                80 <= each.width <= 100 and each.width == pytest.approx(2 * each.height, abs=2) for each in pictures
            )


@pytest.mark.parametrize("formats", [((48, 48),), ((192, 48), (48, 192)), ((2000, 3000),)])
def test_crops_show_nothing_of_the_sign(formats: tuple[tuple[int, int], ...], monkeypatch: pytest.MonkeyPatch) -> None:
    picture = module._photo().copy()
    assert picture.size == (1000, 620)
    picture.paste(MAGENTA, SIGN)
    monkeypatch.setattr(module, "_photo", lambda: picture)
    random = Random(0)
    for _ in range(300):
        crop = photo_crop(PageConfig(fonts=("pillow",), formats=formats), random)
        assert MAGENTA not in {color for _, color in crop.getcolors(crop.width * crop.height) or []}
        assert crop.width / crop.height == pytest.approx(formats[0][0] / formats[0][1], rel=0.1) or len(formats) > 1


def test_text_in_lower_case_has_no_letter_that_could_be_a_capital(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []

    def seen(page: Page) -> Printed:
        printed.append(page.text)
        return render(page)

    monkeypatch.setattr(module, "render", seen)
    for number in range(30):
        assert isinstance(module.lower_case(PAGES, Random(number)), Image.Image)
    words = [word for text in printed for word in text.split()]
    assert set("".join(words)) <= set(SMALL_LETTERS)
    assert min(map(len, words)) == 3
