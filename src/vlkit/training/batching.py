"""Batches of a source: which samples, in which order, for which process, and made ahead by whom."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain, count, islice, tee
from typing import Any

from vlkit.errors import ConfigError, VlkitError
from vlkit.processing.batching import Sample as Encoded
from vlkit.processing.processor import Processor
from vlkit.training.ahead import ahead
from vlkit.training.batching_config import BatchingConfig
from vlkit.training.bucketing import by_length
from vlkit.training.encoding import encode
from vlkit.training.order import Order
from vlkit.training.sample import SampleError
from vlkit.training.source import SampleSource
from vlkit.training.training_batch import Skipped, TrainingBatch, make_batch

MOST_REFUSED = 1000
"""Samples of a source without end that may be bad one after the other."""


class Batches:
    """Batches without end, or until a number of epochs is over.

    Which samples a batch holds follows from the seed and its number alone: not from workers, not from how often the
    training was resumed. Each of `world` processes gets its share of every batch.

    Args:
        source: of the samples.
        processor: of the model that learns.
        config: sizes and arrangement.
        seed: of the order.
        rank: number of this process.
        world: number of processes.
        epochs: after how many the batches end, the last one perhaps a short one; None: never. Only for sources with
            an end.
        on_skip: told of every bad sample once.

    Raises:
        ConfigError: if the processes cannot share a batch evenly, or a source without end has epochs.
    """

    def __init__(
        self,
        source: SampleSource,
        processor: Processor[Any],
        config: BatchingConfig,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
        epochs: int | None = None,
        on_skip: Callable[[Skipped], None] | None = None,
    ) -> None:
        if config.batch_size % world or not 0 <= rank < world:
            raise ConfigError(
                f"batch_size {config.batch_size} for process {rank} of {world}",
                rule="each process gets as many samples of a batch",
                remedy="make batch_size a multiple of the number of processes",
            )
        if epochs is not None and source.count is None:
            raise ConfigError("epochs of a source without end", remedy="count steps")
        self.source, self.processor, self.config = source, processor, config
        self.seed, self.rank, self.world, self.epochs, self.on_skip = seed, rank, world, epochs, on_skip
        self.order = Order(source.count, seed=seed, shuffle=config.shuffle)
        self.given = 0
        self._reported: set[str] = set()
        self._blank = 0

    def state(self) -> dict[str, int]:
        """Where the batches are: how many were given so far, over all processes as one."""
        return {"batches": self.given}

    def restore(self, state: Mapping[str, int]) -> None:
        """Go on where `state` was asked for; batches that were given are not made again."""
        self.given = int(state["batches"])

    def __iter__(self) -> Iterator[TrainingBatch]:
        task = partial(_make, self.source, self.processor, self.config)
        for result in ahead(task, self._shares(self.given), workers=self.config.workers, depth=self.config.ahead):
            if isinstance(result, SampleError):
                raise result
            self._watch(result)
            self.given += 1
            yield result

    def _shares(self, first: int) -> Iterator[list[int]]:
        """Numbers of the samples that this process takes from each batch, from batch number `first` on."""
        for places in self._sorted(first) if self.config.arrangement == "bucketed" else self._groups(first, 1):
            yield [self.order.index(place) for place in places[self.rank :: self.world]]

    def _groups(self, first: int, batches: int) -> Iterator[list[int]]:
        """Places of each `batches` batches in a row, from group number `first` on; the last group may be short."""
        size = batches * self.config.batch_size
        end = None if self.epochs is None or self.source.count is None else self.epochs * self.source.count
        for start in count(first * size, size) if end is None else range(first * size, end, size):
            yield list(range(start, start + size if end is None else min(start + size, end)))

    def _sorted(self, first: int) -> Iterator[list[int]]:
        """Places of each batch, sorted by length within windows."""
        begun, within = divmod(first, self.config.window)
        measured, planned = tee(self._groups(begun, self.config.window))
        indices = (self.order.index(place) for place in chain.from_iterable(measured))
        measure = partial(_measure, self.source, self.processor)
        lengths = ahead(measure, indices, workers=self.config.workers, depth=8 * self.config.batch_size)
        windows = (
            by_length(places, list(islice(lengths, len(places))), self.config.batch_size, seed=self.seed + number)
            for number, places in enumerate(planned, start=begun)
        )
        yield from islice(chain.from_iterable(windows), within, None)

    def _watch(self, batch: TrainingBatch) -> None:
        for skipped in batch.left_out:
            if self.on_skip is not None and skipped.origin not in self._reported:
                self.on_skip(skipped)
            self._reported.add(skipped.origin)
        self._blank = 0 if batch.samples else self._blank + batch.skipped
        if self._blank >= max(self.source.count or MOST_REFUSED, self.config.batch_size):
            last = batch.left_out[-1]
            raise SampleError(
                last.origin,
                last.reason,
                rule=f"of a source some samples can be used; the last {self._blank} could not",
                remedy="correct the source",
            )


def _measure(source: SampleSource, processor: Processor[Any], index: int) -> int:
    """Tokens of a sample; 0 if it cannot be used, which is told when a batch is to be made of it."""
    try:
        return len(encode(processor, source.sample(index)).input_ids)
    except Exception:  # whatever it is, it happens and is told again
        return 0


def _make(
    source: SampleSource, processor: Processor[Any], config: BatchingConfig, indices: list[int]
) -> TrainingBatch | SampleError:
    encoded: list[Encoded] = []
    left_out = []
    for index in indices:
        try:
            encoded.append(encode(processor, source.sample(index), max_length=config.max_length or config.capacity))
        except VlkitError as error:
            bad = error if isinstance(error, SampleError) else _told(source, index, error)
            if config.bad_samples == "refuse":
                return bad
            left_out.append(Skipped(bad.origin, bad.reason))
        except Exception as error:  # a mistake in a source of the user's own, perhaps in another process
            trace = "".join(traceback.format_exception(error))
            return SampleError(_name(source, index), trace, rule="a source raises SampleError for a bad sample")
    return make_batch(processor, encoded, capacity=config.capacity, left_out=left_out)


def _name(source: SampleSource, index: int) -> str:
    return f"sample {index} of {type(source).__name__}"


def _told(source: SampleSource, index: int, error: VlkitError) -> SampleError:
    return SampleError(_name(source, index), error.problem, rule=error.rule, remedy=error.remedy)
