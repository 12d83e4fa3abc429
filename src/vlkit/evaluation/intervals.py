"""How sure a measure is: intervals that hold the true value 95 times in 100, were the set drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal, NamedTuple, Self

import torch

CONFIDENCE = 0.95
Z = 1.959964
"""Half width of the interval of a normal distribution, in standard deviations."""
RESAMPLES, SEED = 1000, 0
_AT_ONCE = 2**20
"""Most numbers that are drawn at once."""


class Ratio(NamedTuple):
    """What one sample adds to a measure: the measure is the sum of the parts over the sum of the wholes."""

    part: float
    whole: float


@dataclass(frozen=True)
class Score:
    """A measure of a set of samples.

    Args:
        value: sum of the parts over sum of the wholes; None if no sample counts.
        low: lower end of the 95 % interval; None if a single sample gives none.
        high: its upper end.
        interval: "wilson" where every sample is right or wrong, else "bootstrap" over the samples.
        samples: number of samples that count.
        whole: sum of the wholes: samples, characters of the references, or boxes.
    """

    value: float | None
    low: float | None
    high: float | None
    interval: Literal["wilson", "bootstrap"] | None
    samples: int
    whole: float

    @classmethod
    def of(cls, ratios: Sequence[Ratio]) -> Self:
        """Score of what each sample adds; samples whose whole is 0 do not count."""
        counted = [ratio for ratio in ratios if ratio.whole]
        if not counted:
            return cls(None, None, None, None, 0, 0.0)
        part, whole = (float(sum(numbers)) for numbers in zip(*counted))
        if all(ratio.whole == 1 and ratio.part in (0, 1) for ratio in counted):
            return cls(part / whole, *wilson(int(part), len(counted)), "wilson", len(counted), whole)
        if len(counted) == 1:
            return cls(part / whole, None, None, None, 1, whole)
        return cls(part / whole, *bootstrap(counted), "bootstrap", len(counted), whole)

    @property
    def cells(self) -> tuple[str, str, str]:
        """Number of samples, value and interval as people read them."""
        value = "" if self.value is None else f"{self.value:.3f}"
        interval = "" if self.low is None or self.high is None else f"{self.low:.3f} to {self.high:.3f}"
        return str(self.samples), value, interval


def wilson(right: int, samples: int) -> tuple[float, float]:
    """Wilson's interval of a share (1927): honest for few samples, and never a point, not even if all are right.

    Examples:
        >>> tuple(round(end, 3) for end in wilson(10, 10))
        (0.722, 1.0)
    """
    share, square = right / samples, Z * Z / samples
    middle = share + square / 2
    half = Z * sqrt(share * (1 - share) / samples + square / samples / 4)
    return max((middle - half) / (1 + square), 0.0), min((middle + half) / (1 + square), 1.0)


def bootstrap(ratios: Sequence[Ratio]) -> tuple[float, float]:
    """Percentile interval of a sum of parts over a sum of wholes, the samples drawn 1,000 times with replacement.

    The draws have a seed, so that the same samples give the same interval. Samples that are all alike give a point,
    which says nothing of samples unseen.
    """
    values = torch.tensor(ratios, dtype=torch.float64)
    random, count = torch.Generator().manual_seed(SEED), len(ratios)
    rounds = max(_AT_ONCE // count, 1)
    drawn = []
    for start in range(0, RESAMPLES, rounds):
        chosen = torch.randint(count, (min(rounds, RESAMPLES - start), count), generator=random)
        part, whole = values[chosen].sum(dim=1).unbind(dim=-1)
        drawn.append(part / whole)
    ends = torch.tensor([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], dtype=torch.float64)
    low, high = torch.quantile(torch.cat(drawn), ends).tolist()
    return low, high
