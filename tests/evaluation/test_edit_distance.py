"""Levenshtein: a distance, and equal to its plain recursive definition."""

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from vlkit.evaluation import levenshtein

short = st.text("abç", max_size=8)
texts = st.text(max_size=80)


def defined(first: str, second: str) -> int:
    """The definition, as written in textbooks."""

    @cache
    def between(left: int, right: int) -> int:
        if not left or not right:
            return left + right
        return min(
            between(left - 1, right) + 1,
            between(left, right - 1) + 1,
            between(left - 1, right - 1) + (first[left - 1] != second[right - 1]),
        )

    return between(len(first), len(second))


@given(short, short)
def test_it_is_as_defined(first: str, second: str) -> None:
    assert levenshtein(first, second) == defined(first, second)


@given(st.text("ab", min_size=60, max_size=150), st.text("ab", min_size=60, max_size=150))
def test_longer_than_a_machine_word_is_no_different(first: str, second: str) -> None:
    assert levenshtein(first, second) == defined(first, second)


@given(texts)
def test_identity(text: str) -> None:
    assert levenshtein(text, text) == 0


@given(texts, texts)
def test_symmetry_and_bounds(first: str, second: str) -> None:
    distance = levenshtein(first, second)
    assert distance == levenshtein(second, first)
    assert abs(len(first) - len(second)) <= distance <= max(len(first), len(second))
    assert (distance == 0) == (first == second)


@given(short, short, short)
def test_triangle_inequality(first: str, second: str, third: str) -> None:
    assert levenshtein(first, third) <= levenshtein(first, second) + levenshtein(second, third)


@given(texts, texts, texts)
def test_a_common_frame_adds_nothing(frame: str, first: str, second: str) -> None:
    assert levenshtein(frame + first + frame, frame + second + frame) <= levenshtein(first, second)


def test_known_distances() -> None:
    assert levenshtein("kitten", "sitting") == 3
    assert levenshtein("", "abc") == levenshtein("abc", "") == 3
    assert levenshtein("红狐狸", "红狐") == 1
