"""The task as a source: samples by number, questions with right answers, and formats that stay for a batch."""

from typing import Any

import pytest

from vlkit.printed_text.composing import PageConfig
from vlkit.printed_text.questions import READ, WHERE
from vlkit.printed_text.source import PrintedText, PrintedTextConfig
from vlkit.processing import parse, to_pixels
from vlkit.training import Recipe
from vlkit.training.data import sources
from vlkit.training.source import SampleSource

PLAIN = PageConfig(fonts=("pillow",))


def source(**fields: Any) -> PrintedText:
    made = sources.build(PrintedTextConfig(pages=PLAIN, **fields))
    assert isinstance(made, PrintedText)
    return made


def test_it_is_a_source_that_a_recipe_can_name() -> None:
    recipe = Recipe(steps=1, data={"type": "printed_text", "pages": {"fonts": ["pillow"]}, "seed": 3})
    assert isinstance(recipe.data, PrintedTextConfig)
    made = sources.build(recipe.data)
    assert isinstance(made, SampleSource)
    assert made.count is None


def test_a_sample_depends_on_seed_and_number_alone() -> None:
    one, other = source(seed=5), source(seed=5)
    for index in (7, 3, 10**9):
        first, second = one.sample(index), other.sample(index)
        assert first.conversation == second.conversation
        assert first.images[0].tobytes() == second.images[0].tobytes()
    assert source(seed=6).sample(7).images[0].tobytes() != one.sample(7).images[0].tobytes()


@pytest.mark.parametrize("questions", ["both", "read", "locate"])
def test_answers_are_what_is_printed_and_where(questions: Any) -> None:
    made = source(questions=questions)
    located = 0
    for index in range(40):
        sample, printed = made.sample(index), made.printed(index)
        turns = [turn["content"].removeprefix("<image>\n") for turn in sample.conversation]
        assert sample.conversation[0]["content"].startswith("<image>\n")
        for question, answer in zip(turns[::2], turns[1::2]):
            if question == READ:
                assert answer == printed.text
                continue
            assert question == WHERE
            located += 1
            for found, (word, box) in zip(parse(answer).objects, printed.words, strict=True):
                assert found.name == word
                pixels, inside = to_pixels(found.boxes[0], printed.image.size), _inside(box, printed.image.size)
                assert all(abs(one - other) <= 1 for one, other in zip(pixels, inside))
        assert (READ in turns) == (questions != "locate")
    assert (located == 0) == (questions == "read")


def _inside(box: tuple[int, ...], size: tuple[int, int]) -> list[int]:
    return [min(max(side, 0), size[axis % 2]) for axis, side in enumerate(box)]


def test_samples_in_a_row_share_a_format() -> None:
    made = source(same_format=8)
    tall = [made.printed(index).image.height > 48 for index in range(64)]
    assert all(len(set(tall[start : start + 8])) == 1 for start in range(0, 64, 8))
    assert len(set(tall)) == 2


def test_pages_grow_over_the_first_samples() -> None:
    made = source(growth=1000)
    early = [len(made.printed(index).text) for index in range(40)]
    late = [len(made.printed(index).text) for index in range(1000, 1200)]
    assert max(early) < max(late)
    assert all(made.printed(index).image.height <= 48 for index in range(40))
