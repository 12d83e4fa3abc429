"""Which answers are believed."""

import pytest

from vlkit.printed_text.answer import LEAST_PLACE_PROBABILITY, LEAST_PROBABILITY, Answer


def test_an_answer_is_believed_if_it_ended_and_its_characters_were_likely() -> None:
    assert Answer("A", 0.99, ended=True).believable
    assert not Answer("A", 0.99, ended=False).believable
    assert not Answer("A", 0.3, ended=True).believable
    assert not Answer("", 0.99, ended=True).believable


@pytest.mark.parametrize(
    ("probability", "place_probability", "believable"), [(0.99, 0.7, True), (0.99, 0.3, False), (0.7, 0.7, False)]
)
def test_an_answer_with_boxes_needs_likely_places_too(
    probability: float, place_probability: float, believable: bool
) -> None:
    text = "<|ref|>A<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>"
    assert Answer(text, probability, ended=True, place_probability=place_probability).believable == believable


def test_the_thresholds_are_probabilities_and_that_of_places_is_the_lower_one() -> None:
    assert 0 < LEAST_PLACE_PROBABILITY < LEAST_PROBABILITY < 1
