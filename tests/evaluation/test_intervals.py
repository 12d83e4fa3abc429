"""Intervals: they hold the value, shrink with more samples, and cover the truth about as often as they say."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlkit.evaluation import Ratio, Score, bootstrap, wilson

shares = st.integers(1, 500).flatmap(lambda samples: st.tuples(st.integers(0, samples), st.just(samples)))


@given(shares)
def test_wilson_holds_the_share_and_is_never_a_point(share: tuple[int, int]) -> None:
    right, samples = share
    low, high = wilson(right, samples)
    assert 0.0 <= low <= right / samples + 1e-12
    assert right / samples - 1e-12 <= high <= 1.0
    assert high - low > 0.001
    wrong_low, wrong_high = wilson(samples - right, samples)
    assert (wrong_low, wrong_high) == pytest.approx((1 - high, 1 - low))


def test_wilson_is_as_tabulated() -> None:
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)).map(lambda pair: Ratio(*pair)), min_size=1, max_size=30)
)
def test_bootstrap_lies_between_the_best_and_the_worst_sample(ratios: list[Ratio]) -> None:
    low, high = bootstrap(ratios)
    values = [ratio.part / ratio.whole for ratio in ratios]
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert bootstrap(ratios) == (low, high)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    draw = random.Random(0)
    covered = 0
    for _ in range(200):
        ratios = [Ratio(draw.expovariate(1 / whole), whole) for whole in draw.choices(range(1, 6), k=80)]
        low, high = bootstrap(ratios)
        covered += low <= 1.0 <= high
    assert 0.87 <= covered / 200 <= 0.99


def test_more_samples_make_it_narrower() -> None:
    few = [Ratio(0.0, 1), Ratio(0.5, 1), Ratio(1.0, 1)] * 5
    widths = [high - low for low, high in (bootstrap(few), bootstrap(few * 16))]
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.2)


def test_a_score_says_which_interval_and_how_many_samples() -> None:
    right_or_wrong = Score.of([Ratio(1, 1), Ratio(0, 1), Ratio(0, 0), Ratio(1, 1)])
    assert (right_or_wrong.value, right_or_wrong.samples, right_or_wrong.interval) == (2 / 3, 3, "wilson")
    graded = Score.of([Ratio(1, 4), Ratio(2, 2)])
    assert (graded.value, graded.samples, graded.whole, graded.interval) == (0.5, 2, 6.0, "bootstrap")
    nothing = Score.of([Ratio(0, 0)])
    assert (nothing.value, nothing.samples, nothing.interval) == (None, 0, None)
    alone = Score.of([Ratio(1, 4)])
    assert (alone.value, alone.low, alone.high, alone.interval) == (0.25, None, None, None)
    assert [score.cells for score in (nothing, alone, right_or_wrong)] == [
        ("0", "", ""),
        ("1", "0.250", ""),
        ("3", "0.667", "0.208 to 0.939"),
    ]
