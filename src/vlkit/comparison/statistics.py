"""What a few repeats say: mean, spread, and the interval that the mean of endlessly many would lie in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Self

from vlkit.evaluation.intervals import Z

STUDENT = (12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.306, 2.26216, 2.22814)
"""Half widths of the 95 % interval of Student's distribution for 1 to 10 degrees of freedom."""


@dataclass(frozen=True)
class Estimate:
    """Mean of the repeats, with its uncertainty.

    Args:
        count: repeats.
        mean: of them.
        spread: their standard deviation; None for a single one.
        low: lower end of the 95 % interval of the mean; None for a single one, and where all are equal, since that says
            nothing of repeats unseen.
        high: its upper end.
    """

    count: int
    mean: float
    spread: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Self | None:
        """Estimate from the repeats by Student's distribution, which is wide where they are few; None without any."""
        if not values:
            return None
        mean, count = fmean(values), len(values)
        if count == 1:
            return cls(1, mean, None, None, None)
        spread = stdev(values)
        if spread == 0:
            return cls(count, mean, 0.0, None, None)
        half = student(count - 1) * spread / sqrt(count)
        return cls(count, mean, spread, mean - half, mean + half)

    @property
    def sign(self) -> int | None:
        """1 or -1 if the whole interval lies on that side of 0, 0 if it does not; None if there is no interval."""
        if self.low is None or self.high is None:
            return None
        return (self.low > 0) - (self.high < 0)


def student(freedom: int) -> float:
    """Half width of the 95 % interval of Student's distribution, in standard errors.

    Beyond the table it is the expansion around the normal distribution (Fisher and Cornish, 1960), right to 1e-4.

    Examples:
        >>> round(student(2), 3), round(student(30), 3)
        (4.303, 2.042)
    """
    if freedom <= len(STUDENT):
        return STUDENT[freedom - 1]
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + first / freedom + second / freedom**2 + third / freedom**3
