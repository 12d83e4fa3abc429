"""Every epoch holds every sample once, in an order that depends on the seed and the epoch alone."""

from hypothesis import given
from hypothesis import strategies as st

from vlkit.training import Order

counts = st.integers(1, 40)


@given(counts, st.integers(0, 2**40), st.integers(0, 5), st.booleans())
def test_an_epoch_holds_every_sample_once(count: int, seed: int, epoch: int, shuffle: bool) -> None:
    order = Order(count, seed=seed, shuffle=shuffle)
    assert sorted(order.index(epoch * count + place) for place in range(count)) == list(range(count))


def test_orders_differ_between_epochs_and_seeds() -> None:
    rows = {
        tuple(Order(50, seed=seed).index(epoch * 50 + place) for place in range(50))
        for seed in range(4)
        for epoch in range(4)
    }
    assert len(rows) == 16


def test_a_place_can_be_asked_for_on_its_own() -> None:
    first = [Order(7, seed=3).index(place) for place in range(30)]
    assert [Order(7, seed=3).index(place) for place in reversed(range(30))] == first[::-1]


def test_sources_without_end_and_unshuffled_ones_come_as_they_are() -> None:
    assert [Order(None, seed=1).index(place) for place in (0, 5, 10**12)] == [0, 5, 10**12]
    assert [Order(3, seed=1, shuffle=False).index(place) for place in range(7)] == [0, 1, 2, 0, 1, 2, 0]
