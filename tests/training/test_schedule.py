"""Schedules: warm-up first, then from the highest rate to the last one, and never up again."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from vlkit.errors import ConfigError
from vlkit.training.schedule import (
    AnySchedule,
    ConstantSchedule,
    CosineSchedule,
    LinearSchedule,
    StepSchedule,
)

shares = st.floats(0, 1)
schedules = st.one_of(
    st.builds(ConstantSchedule, warmup=st.integers(0, 20)),
    st.builds(CosineSchedule, warmup=st.integers(0, 20), final=shares),
    st.builds(LinearSchedule, warmup=st.integers(0, 20), final=shares),
    st.builds(
        StepSchedule,
        warmup=st.integers(0, 20),
        at=st.sets(shares, min_size=1, max_size=4).map(lambda places: tuple(sorted(places))),
        gamma=st.floats(0.01, 1),
    ),
)


@given(schedules, st.integers(1, 100))
def test_rates_rise_in_the_warm_up_and_never_afterwards(schedule: Any, more: int) -> None:
    steps = schedule.warmup + more
    factors = [schedule.factor(step, steps) for step in range(1, steps + 1)]
    warm, rest = factors[: schedule.warmup], factors[schedule.warmup :]
    assert warm == [step / schedule.warmup for step in range(1, schedule.warmup + 1)]
    assert all(0 <= later <= earlier <= 1 for earlier, later in pairwise(rest))


@given(shares, st.integers(2, 50))
def test_the_last_step_has_the_last_rate(final: float, steps: int) -> None:
    for schedule in (CosineSchedule(final=final), LinearSchedule(final=final)):
        assert schedule.factor(steps, steps) == pytest.approx(final)
    assert ConstantSchedule().factor(steps, steps) == 1


def test_cosine_is_half_way_in_the_middle() -> None:
    assert CosineSchedule(final=0.2).factor(50, 100) == pytest.approx(0.6)


def test_steps_lower_the_rate_at_their_places() -> None:
    schedule = StepSchedule(at=(0.8, 0.9), gamma=0.5)
    assert [schedule.factor(step, 10) for step in (1, 8, 9, 10)] == [1, 1, 0.5, 0.25]


def test_places_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ConfigError, match="rise"):
        StepSchedule(at=(0.9, 0.8))


@given(schedules)
def test_schedules_round_trip(schedule: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(AnySchedule)
    assert adapter.validate_python(schedule.model_dump(mode="json")) == schedule
