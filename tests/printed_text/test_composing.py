"""Settings of pages: what is refused, and pages that keep to them."""

from itertools import pairwise
from random import Random
from typing import Any

import pytest

from vlkit.errors import ConfigError
from vlkit.printed_text.composing import PageConfig, compose, eased
from vlkit.printed_text.page import render
from vlkit.printed_text.words import split_of

PLAIN = PageConfig(fonts=("pillow",))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scale": (1.0, 0.5)}, "scale"),
        ({"font_size": (0, 20)}, "font_size"),
        ({"split": "held_out"}, "words of fewer than 3 characters are all trained on"),
        ({"noise": 1.0}, "noise"),
        ({"formats": ()}, "formats"),
    ],
)
def test_settings_that_make_no_sense_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PageConfig(**fields)


def test_pages_keep_to_their_settings() -> None:
    config = PLAIN.replace(split="held_out", length=(3, 10))
    outside = 0
    for number in range(200):
        page = compose(config, Random(number))
        printed = render(page)
        assert page.size.width <= 192
        assert page.size.height <= 96
        assert 1 <= len(page.lines) <= 3
        assert all(1 <= len(line) <= 2 for line in page.lines)
        assert all(3 <= len(word) <= 10 and split_of(word) == "held_out" for line in page.lines for word in line)
        assert abs(page.angle) <= 3
        outside += any(
            min(box.left, box.upper) < 0 or box.right > page.size.width or box.lower > page.size.height
            for _, box in printed.words
        )
    assert outside <= 6


def test_pages_grow_from_easy_ones_to_all_that_is_allowed() -> None:
    assert eased(PLAIN, 1.0) == PLAIN
    first = eased(PLAIN, 0.0)
    assert (first.angle, first.noise, first.coloured, first.grids) == (0, 0, 0, 1)
    assert len(first.formats) < len(PLAIN.formats)
    grown = [eased(PLAIN, step / 10) for step in range(11)]
    most = [config.length[1] for config in grown]
    assert most == sorted(most)
    assert all(config.grids >= later.grids for config, later in pairwise(grown))


def test_characters_on_a_grid_stand_at_equal_distances() -> None:
    config = PLAIN.replace(grids=1.0, grid_pitch=(16, 16), formats=((48, 48),))
    for number in range(20):
        page = compose(config, Random(number))
        printed = render(page)
        assert page.pitch == 16
        assert [len(line) for line in printed.text.splitlines()] == [3, 3, 3]
        across = [x for _, x, _ in printed.characters[:3]]
        assert [later - earlier for earlier, later in pairwise(across)] == [16, 16]


def test_ink_and_paper_differ() -> None:
    for number in range(100):
        page = compose(PLAIN, Random(number))
        assert sum(abs(one - other) for one, other in zip(page.ink, page.paper)) > 80


def test_without_single_lines_outright_all_numbers_of_lines_are_equally_likely() -> None:
    settings = PLAIN.replace(formats=((64, 128),), scale=(1, 1), trim=0, font_size=(20, 20), lines=2)
    singles = {
        times: sum(len(compose(settings.replace(single_line=times), Random(n)).lines) == 1 for n in range(400)) / 400
        for times in (0, 1, 3)
    }
    assert singles == {
        0: pytest.approx(1 / 2, abs=0.08),
        1: pytest.approx(3 / 4, abs=0.08),
        3: pytest.approx(7 / 8, abs=0.08),
    }


def test_full_pages_hold_as_much_as_there_is_room_for() -> None:
    settings = PLAIN.replace(formats=((128, 64),), scale=(1, 1), trim=0, font_size=(20, 20), words_per_line=1, lines=1)
    some = [compose(settings, Random(number)) for number in range(30)]
    full = [compose(settings.replace(full=1.0, length=(3, 8)), Random(number)) for number in range(30)]
    assert {len(page.lines) for page in some} == {1}
    assert {len(page.lines) for page in full} == {2}
    assert sum(len(page.text) for page in full) > 2 * sum(len(page.text) for page in some)
    assert all(6 <= len(" ".join(line)) <= 10 for page in full for line in page.lines)
