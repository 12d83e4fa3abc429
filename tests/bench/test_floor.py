"""The floor is what takes longer, operations or bytes; both rates are measured."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlkit.bench import Floor, Work, measure_floor

FLOOR = Floor(read=100.0, multiply=1000.0, dtype="bfloat16")
amounts = st.none() | st.integers(0, 10**6)


@given(amounts, amounts)
def test_the_least_time_is_that_of_what_takes_longer(flops: int | None, nbytes: int | None) -> None:
    least = FLOOR.seconds(Work(flops, nbytes))
    expected = max((flops or 0) / 1000, (nbytes or 0) / 100)
    assert least == (expected or None)


@pytest.mark.parametrize(
    ("work", "bound"),
    [
        (Work(2000, 100), "compute"),
        (Work(1000, 200), "memory"),
        (Work(None, 1), "memory"),
        (Work(1, None), "compute"),
        (Work(None, None), None),
        (Work(0, 0), None),
    ],
)
def test_what_bounds_work(work: Work, bound: str | None) -> None:
    assert FLOOR.bound(work) == bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_both_rates_are_measured(dtype: torch.dtype) -> None:
    floor = measure_floor(torch.device("cpu"), dtype, read_bytes=2**16, products=((8, 8, 8), (16, 4, 2)), runs=1)
    assert floor.read > 0 and floor.multiply > 0
    assert floor.dtype == str(dtype).removeprefix("torch.")
    assert f"multiplies {floor.multiply / 1e12:.2f} TFLOP/s" in str(floor)
