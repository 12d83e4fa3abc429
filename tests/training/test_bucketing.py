"""Batches of neighbours in length."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import seeds
from vlkit.training.bucketing import by_length


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 5), seeds)
def test_batches_are_neighbours_in_length(lengths: list[int], size: int, seed: int) -> None:
    made = by_length(range(len(lengths)), lengths, size, seed=seed)
    assert sorted(place for batch in made for place in batch) == list(range(len(lengths)))
    assert [len(batch) for batch in made[:-1]] == [size] * (len(made) - 1 if made else 0)
    ranges = sorted((min(lengths[place] for place in batch), max(lengths[place] for place in batch)) for batch in made)
    assert all(high <= low for (_, high), (low, _) in pairwise(ranges))
    assert made == by_length(range(len(lengths)), lengths, size, seed=seed)
