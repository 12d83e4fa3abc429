"""The learning rate over a run, as a share of its highest value: a pure function of the step."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vlkit.config import Config
from vlkit.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1)]


class _Schedule(Config):
    """What all schedules begin with."""

    warmup: int = Field(default=0, ge=0, le=2**30)
    """Steps in which the rate rises linearly from nothing."""

    def factor(self, step: int, steps: int) -> float:
        """Share of the highest rate in step `step` of `steps`, both counted from 1."""
        if step <= self.warmup:
            return step / self.warmup
        return self.decayed((step - self.warmup) / max(steps - self.warmup, 1))

    def decayed(self, done: float) -> float:
        """Share of the highest rate when this part of the steps after the warm-up is done."""
        raise NotImplementedError(f"{type(self).__name__} defines decayed")


class ConstantSchedule(_Schedule):
    """The highest rate to the end."""

    type: Literal["constant"] = "constant"
    """Tag of the schedule."""

    def decayed(self, done: float) -> float:
        return 1.0


class CosineSchedule(_Schedule):
    """Half a cosine down to the last rate. Paper: arXiv:1608.03983."""

    type: Literal["cosine"] = "cosine"
    """Tag of the schedule."""
    final: Share = 0.1
    """Share that is left at the end."""

    def decayed(self, done: float) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(done, 1.0))) / 2


class LinearSchedule(_Schedule):
    """A straight line down to the last rate."""

    type: Literal["linear"] = "linear"
    """Tag of the schedule."""
    final: Share = 0.0
    """Share that is left at the end."""

    def decayed(self, done: float) -> float:
        return 1 - (1 - self.final) * min(done, 1.0)


class StepSchedule(_Schedule):
    """Lower by a factor at given places, as DeepSeek's language models are trained. Paper: arXiv:2401.02954, 2.3."""

    type: Literal["steps"] = "steps"
    """Tag of the schedule."""
    at: tuple[Share, ...] = Field(default=(0.8, 0.9), min_length=1, max_length=64)
    """Parts of the steps after the warm-up, rising, after which the rate is lower."""
    gamma: float = Field(default=0.316, gt=0, le=1)
    """Factor at each of them."""

    def decayed(self, done: float) -> float:
        return self.gamma ** sum(done > place for place in self.at)

    @model_validator(mode="after")
    def _check(self) -> StepSchedule:
        if list(self.at) != sorted(set(self.at)):
            raise ConfigError(f"at {list(self.at)}", rule="places rise from the first to the last")
        return self


AnySchedule = Annotated[ConstantSchedule | CosineSchedule | LinearSchedule | StepSchedule, Field(discriminator="type")]
"""Field type that takes any of the schedules."""
