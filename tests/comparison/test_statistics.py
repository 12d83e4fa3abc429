"""Means of a few repeats and how sure they are."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlkit.comparison.statistics import STUDENT, Estimate, student

NUMBERS = st.lists(st.floats(-100, 100), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [(1, 12.706), (5, 2.571), (10, 2.228), (11, 2.201), (20, 2.086), (60, 2.000), (1000, 1.962)],
)
def test_half_widths_are_those_of_the_printed_tables(freedom: int, expected: float) -> None:
    assert student(freedom) == pytest.approx(expected, abs=6e-4)


def test_table_and_expansion_meet() -> None:
    widths = [student(freedom) for freedom in range(1, 40)]
    assert widths == sorted(widths, reverse=True)
    assert len(STUDENT) == 10


@pytest.mark.parametrize("count", [2, 3, 5])
def test_nineteen_of_twenty_intervals_hold_the_mean(count: int) -> None:
    random = torch.Generator().manual_seed(count)
    studies = (3 + 2 * torch.randn(2000, count, generator=random, dtype=torch.float64)).tolist()
    held = [found.low <= 3 <= found.high for found in map(Estimate.of, studies) if found and found.low and found.high]
    assert sum(held) / len(studies) == pytest.approx(0.95, abs=0.02)


@given(values=NUMBERS, shift=st.floats(-100, 100))
def test_an_estimate_moves_with_its_values(values: list[float], shift: float) -> None:
    found, moved = Estimate.of(values), Estimate.of([value + shift for value in values])
    assert found is not None and moved is not None
    assert moved.mean == pytest.approx(found.mean + shift, abs=1e-6)
    if found.low is not None and moved.low is not None:
        assert moved.low == pytest.approx(found.low + shift, abs=1e-6)
        assert found.high is not None and found.low <= found.mean <= found.high


def test_one_value_or_equal_values_have_no_interval_and_none_have_no_estimate() -> None:
    assert Estimate.of([]) is None
    assert Estimate.of([2.0]) == Estimate(1, 2.0, None, None, None)
    assert Estimate.of([2.0, 2.0]) == Estimate(2, 2.0, 0.0, None, None)


@pytest.mark.parametrize(("values", "sign"), [([1, 1.1], 1), ([-1, -1.1], -1), ([-1, 1.1], 0), ([1], None)])
def test_the_sign_is_that_of_the_whole_interval(values: list[float], sign: int | None) -> None:
    found = Estimate.of(values)
    assert found is not None and found.sign == sign
