"""Seconds of repeated work: a clock that waits for the device, and a summary that says how much they vary."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from vlkit.errors import InputError

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Timing:
    """Seconds of the same work done several times.

    Args:
        median: of all times.
        least: the shortest.
        lower: first quartile.
        upper: third quartile.
        count: how many times.
    """

    median: float
    least: float
    lower: float
    upper: float
    count: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing:
        """Summary of these times.

        Raises:
            InputError: if there are none.
        """
        if not seconds:
            raise InputError("no times to summarise", rule="work is done at least once")
        lower, median, upper = (
            statistics.quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else 3 * [seconds[0]]
        )
        return cls(median=median, least=min(seconds), lower=lower, upper=upper, count=len(seconds))

    def __str__(self) -> str:
        return f"{as_time(self.median)} ({as_time(self.lower)} - {as_time(self.upper)})"


class Clock:
    """Times work on a device, which is waited for before and after.

    Args:
        device: where the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def now(self) -> float:
        """Seconds, once everything that was asked of the device is done."""
        if self.device.type not in ("cpu", "meta"):
            getattr(torch, self.device.type).synchronize(self.device)
        return time.perf_counter()

    def time(self, work: Callable[[], ResultT]) -> tuple[ResultT, float]:
        """Result of the work and its seconds."""
        start = self.now()
        result = work()
        return result, self.now() - start

    def repeat(self, work: Callable[[], object], *, runs: int, warmup: int = 1) -> list[float]:
        """Seconds of each of `runs` runs after `warmup` others."""
        return [self.time(work)[1] for _ in range(warmup + runs)][warmup:]


def as_time(seconds: float | None) -> str:
    """Seconds with three digits, as s or ms."""
    if seconds is None:
        return "unknown"
    value, unit = (seconds, "s") if seconds >= 1 else (1000 * seconds, "ms")
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f} {unit}"
