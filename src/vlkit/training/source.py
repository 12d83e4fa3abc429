"""Where samples come from: the contract of a source, and sources that hold or mix others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from vlkit.errors import ConfigError
from vlkit.training.order import Order
from vlkit.training.sample import Sample, SampleError


@runtime_checkable
class SampleSource(Protocol):
    """Samples by number, so that training can go on from any place.

    A sample depends on its number alone. With worker processes a source is copied to each of them.
    """

    @property
    def count(self) -> int | None:
        """Number of samples; None: without end, made on demand."""
        ...

    def sample(self, index: int) -> Sample:
        """Sample number `index`.

        Raises:
            SampleError: if it cannot be used.
        """
        ...


class FromIterable:
    """Samples that some Python object gives.

    Args:
        samples: at least one. What has a length and takes numbers in brackets, such as a list or a dataset of torch, is
            asked for each sample when it is needed; of anything else all samples are held in memory.

    Raises:
        ConfigError: if there is none.
    """

    def __init__(self, samples: Iterable[Sample]) -> None:
        indexed = hasattr(samples, "__getitem__") and hasattr(samples, "__len__")
        self._samples: Any = samples if indexed else tuple(samples)
        if not self.count:
            raise ConfigError("the source has no sample", rule="there is at least one")

    @property
    def count(self) -> int:
        return len(self._samples)

    def sample(self, index: int) -> Sample:
        sample = self._samples[index]
        if not isinstance(sample, Sample):
            raise SampleError(
                f"item {index}",
                f"it is a {type(sample).__name__}",
                rule="a source gives vlkit.training.Sample",
                remedy="wrap it: Sample(conversation=(...), images=(...), origin='...')",
            )
        return sample


class Mixture:
    """Several sources in turn, each as often as its weight says; without end.

    Of every `sum(weights)` samples in a row each source gives as many as its weight, evenly spread. A source with an
    end starts anew in another order when all its samples were given.

    Args:
        sources: at least one.
        weights: whole numbers from 1, one per source.
        seed: of the order in sources with an end.

    Raises:
        ConfigError: if sources and weights do not fit each other.
    """

    count: None = None

    def __init__(self, sources: Sequence[SampleSource], weights: Sequence[int], *, seed: int = 0) -> None:
        if not sources or len(sources) != len(weights) or any(weight < 1 for weight in weights):
            raise ConfigError(
                f"{len(sources)} sources with the weights {list(weights)!r:.80}",
                rule="there is one whole number from 1 for each source",
            )
        self._sources, self._weights = tuple(sources), tuple(weights)
        self._orders = [Order(source.count, seed=seed + number) for number, source in enumerate(sources)]
        turns = [((turn + 0.5) / weight, source) for source, weight in enumerate(weights) for turn in range(weight)]
        self._turns = [source for _, source in sorted(turns)]

    def sample(self, index: int) -> Sample:
        rounds, place = divmod(index, len(self._turns))
        chosen = self._turns[place]
        given = rounds * self._weights[chosen] + self._turns[:place].count(chosen)
        return self._sources[chosen].sample(self._orders[chosen].index(given))
