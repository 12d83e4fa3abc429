"""Work done ahead of time by other processes, given in its order."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from vlkit.errors import TrainingError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class _Task(Dataset[Any], Generic[ItemT, ResultT]):
    def __init__(self, task: Callable[[ItemT], ResultT]) -> None:
        self.task = task

    def __getitem__(self, item: ItemT) -> ResultT:
        return self.task(item)


def ahead(
    task: Callable[[ItemT], ResultT], items: Iterable[ItemT], *, workers: int, depth: int = 2
) -> Iterator[ResultT]:
    """Results of a task for each item, in order.

    Args:
        task: depends on its item alone; with workers it can be pickled where processes are not forked.
        items: taken as they are needed, perhaps without end.
        workers: processes that work ahead; 0: none, each result is made when it is asked for.
        depth: items that each worker is ahead.

    Raises:
        TrainingError: if a process ends before its time.
    """
    if workers == 0:
        yield from map(task, items)
        return
    loader = DataLoader(
        _Task(task),
        batch_size=None,
        sampler=items,
        num_workers=workers,
        prefetch_factor=depth,
        collate_fn=_as_it_is,
        generator=torch.Generator(),  # else one number of the global generator would be used up
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads, which the workers do not use
            results = iter(loader)
        yield from results
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            f"a process that makes batches ended: {error}",
            rule="it ends by itself only if it runs out of memory, or is stopped from outside",
            remedy="use fewer workers, be less ahead, or workers = 0 to see what happens",
        ) from error


def _as_it_is(result: ResultT) -> ResultT:
    return result
