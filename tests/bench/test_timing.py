"""Summaries of times, and a clock that times what it is given."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlkit.bench import Clock, Timing
from vlkit.bench.timing import as_time
from vlkit.errors import InputError

seconds = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=20)


@given(seconds)
def test_a_summary_lies_within_its_times_in_order(times: list[float]) -> None:
    timing = Timing.of(times)
    assert timing.count == len(times)
    assert min(times) == timing.least <= timing.lower <= timing.median <= timing.upper <= max(times)


@given(seconds, st.randoms())
def test_the_order_of_times_does_not_matter(times: list[float], random: object) -> None:
    shuffled = list(times)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert Timing.of(shuffled) == Timing.of(times)


def test_quartiles_of_five_times() -> None:
    assert Timing.of([5.0, 1.0, 4.0, 2.0, 3.0]) == Timing(median=3.0, least=1.0, lower=2.0, upper=4.0, count=5)


def test_no_times_are_refused() -> None:
    with pytest.raises(InputError, match="no times"):
        Timing.of([])


def test_the_clock_gives_the_result_and_leaves_warming_up_out() -> None:
    clock, done = Clock(torch.device("cpu")), list[None]()
    result, took = clock.time(lambda: 7)
    assert result == 7 and took >= 0
    assert len(clock.repeat(lambda: done.append(None), runs=3, warmup=2)) == 3
    assert len(done) == 5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (12.345, "12.3 s"),
        (1.0, "1.00 s"),
        (0.1234, "123 ms"),
        (0.0042, "4.20 ms"),
        (5e-6, "0.005 ms"),
    ],
)
def test_times_have_three_digits_and_a_unit(value: float | None, text: str) -> None:
    assert as_time(value) == text
