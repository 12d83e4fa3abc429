"""Measures of texts: bounds, identity, known values, and the best of several references."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlkit.errors import InputError
from vlkit.evaluation import anls, character_error_rate, character_errors, exact_match, levenshtein

texts = st.text("abc ", max_size=10)
references = st.lists(texts, min_size=1, max_size=3)


@given(texts, references)
def test_bounds(answer: str, right: list[str]) -> None:
    assert 0.0 <= anls(answer, right) <= 1.0
    errors, length = character_errors(answer, right)
    assert errors >= 0 and length >= 1


@given(texts, references)
def test_what_is_right_gets_all(answer: str, others: list[str]) -> None:
    right = [*others, answer]
    assert exact_match(answer, right)
    assert anls(answer, right) == 1.0
    assert character_errors(answer, right)[0] == 0


@given(texts, references)
def test_what_is_not_right_gets_less(answer: str, right: list[str]) -> None:
    if answer not in right:
        assert not exact_match(answer, right)
        assert anls(answer, right) < 1.0
        assert character_errors(answer, right)[0] > 0


@given(texts, references, references)
def test_more_references_never_hurt(answer: str, right: list[str], more: list[str]) -> None:
    assert anls(answer, right + more) >= anls(answer, right)
    assert exact_match(answer, right + more) >= exact_match(answer, right)
    few, many = character_errors(answer, right), character_errors(answer, right + more)
    assert many[0] / many[1] <= few[0] / few[1]


@given(texts, texts)
def test_one_sample_is_its_edits_over_its_length(answer: str, right: str) -> None:
    rate = character_error_rate([answer], [[right]])
    assert rate == levenshtein(answer, right) / max(len(right), 1)


def test_similarity_has_a_threshold_that_counts_itself() -> None:
    assert anls("abcd", ["abxy"]) == 0.5
    assert anls("abcd", ["axyz"]) == 0.0
    assert anls("abcd", ["axyz"], threshold=0.25) == 0.25
    assert anls("", [""]) == 1.0
    assert anls("", ["a"]) == 0.0
    assert anls("Coca Cola", ["cola", "coca cola company", "Coca-Cola"]) == pytest.approx(1 - 1 / 9)


@pytest.mark.parametrize(
    ("answer", "score"), [("The Coca", 0), ("CocaCola", 0.89), ("Coca cola", 1), ("Cola", 0), ("Cat", 0)]
)
def test_the_example_of_the_benchmark(answer: str, score: float) -> None:
    """The table on the Robust Reading Competition's page of tasks, challenge 11; case never counts there."""
    assert anls(answer.lower(), ["coca cola", "coca cola company"]) == pytest.approx(score, abs=0.005)


def test_a_corpus_is_summed_before_it_is_divided() -> None:
    rate = character_error_rate(["a", "0123456780"], [["b"], ["0123456789"]])
    assert rate == 2 / 11
    assert character_error_rate(["abcabc"], [["abc"]]) == 1.0
    assert character_error_rate(["aaaa"], [["b"]]) == 4.0


@pytest.mark.parametrize(
    "measure",
    [
        lambda: exact_match("a", []),
        lambda: anls("a", "a"),
        lambda: character_errors("a", []),
        lambda: character_error_rate([], []),
        lambda: character_error_rate(["a"], [["a"], ["b"]]),
        lambda: character_error_rate("a", "a"),
    ],
)
def test_missing_references_are_refused(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(InputError):
        measure()
