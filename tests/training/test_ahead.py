"""Work ahead of time keeps its order, and its items are taken as they are needed."""

import itertools
import os
from collections.abc import Iterator

import pytest

from vlkit.errors import TrainingError
from vlkit.training.ahead import ahead


def square(number: int) -> int:
    return number * number


def process(number: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_are_in_order_and_items_may_have_no_end(workers: int) -> None:
    results = ahead(square, itertools.count(), workers=workers)
    assert list(itertools.islice(results, 20)) == [square(number) for number in range(20)]


def test_workers_are_other_processes() -> None:
    assert set(ahead(process, range(4), workers=0)) == {os.getpid()}
    others = set(ahead(process, range(8), workers=2))
    assert os.getpid() not in others and len(others) == 2


@pytest.mark.parametrize(("workers", "depth"), [(0, 1), (1, 2), (2, 3)])
def test_no_more_items_are_taken_than_workers_are_ahead(workers: int, depth: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in itertools.count():
            taken.append(item)
            yield item

    results = ahead(square, items(), workers=workers, depth=depth)
    for _ in range(5):
        next(results)
    assert len(taken) <= 5 + workers * depth


def end(number: int) -> int:
    os._exit(3)


def test_a_process_that_ends_is_told_of() -> None:
    with pytest.raises(TrainingError, match="process that makes batches"):
        list(ahead(end, range(3), workers=1))
