"""How far a run is, for whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vlkit.training.metrics import Row


@dataclass(frozen=True)
class Progress:
    """A run after one of its steps.

    Args:
        step: steps done, those before a resumption included.
        steps: steps in all.
        loss: of this step.
        tokens_per_second: of all processes together, in this step.
        seconds_left: at the pace of this process so far.
        row: what was written to the metrics after this step; None if nothing was.
    """

    step: int
    steps: int
    loss: float
    tokens_per_second: float
    seconds_left: float
    row: Row | None = None


OnProgress = Callable[[Progress], None]
"""Is told after each step, in the main process only."""
