"""Which answers are believed."""

from vlkit.printed_text.answer import LEAST_PROBABILITY, LEAST_WITH_BOX, Answer


def test_an_answer_is_believed_if_it_ended_and_its_tokens_were_likely() -> None:
    assert Answer("A", 0.99, ended=True).believable
    assert not Answer("A", 0.99, ended=False).believable
    assert not Answer("A", 0.3, ended=True).believable
    assert not Answer("", 0.99, ended=True).believable


def test_an_answer_with_a_box_needs_less_since_digits_of_places_are_never_certain() -> None:
    text, place = Answer("A", 0.9, ended=True), Answer("<|ref|>A<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>", 0.9, ended=True)
    assert place.believable and not text.believable
    assert place.least == LEAST_WITH_BOX < text.least == LEAST_PROBABILITY


def test_the_thresholds_are_probabilities() -> None:
    assert 0.5 < LEAST_WITH_BOX < LEAST_PROBABILITY < 1
