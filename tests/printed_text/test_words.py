"""Words: two splits that never meet, and alphabets without letters that fonts print alike."""

from random import Random

import pytest

from vlkit.printed_text.words import CAPITALS, CODE, DIGITS, Split, random_word, split_of


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_a_word_is_of_the_split_that_was_asked_for_and_of_one_alphabet(split: Split) -> None:
    random = Random(0)
    for length in range(3, 11):
        for _ in range(40):
            word = random_word(random, length, split)
            assert len(word) == length
            assert split_of(word) == split
            assert any(set(word) <= set(alphabet) for alphabet in (DIGITS, CAPITALS, CODE))


def test_about_one_word_in_eight_is_held_out_and_no_short_one() -> None:
    held_out = sum(split_of(str(number)) == "held_out" for number in range(10000, 20000))
    assert 1000 < held_out < 1500
    assert all(split_of(letter) == "train" for letter in CAPITALS + DIGITS)


def test_codes_leave_out_what_looks_alike() -> None:
    assert not set("01IO") & set(CODE)
