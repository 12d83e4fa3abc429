"""Loss on samples that are not learned from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vlkit.training.machine import total
from vlkit.training.sample import Sample
from vlkit.training.source import SampleSource
from vlkit.training.training_batch import TrainingBatch


@dataclass(frozen=True)
class FirstSamples:
    """The first samples of a source.

    Args:
        source: where they are.
        most: how many.
    """

    source: SampleSource
    most: int

    @property
    def count(self) -> int:
        return self.most if self.source.count is None else min(self.most, self.source.count)

    def sample(self, index: int) -> Sample:
        return self.source.sample(index)


@torch.no_grad()
def mean_loss(objective: nn.Module, batches: Iterable[TrainingBatch], accelerator: Any) -> Mapping[str, float]:
    """Cross entropy of all counted labels of the batches, over all processes; the module trains afterwards.

    Args:
        objective: gives the summed loss of a batch.
        batches: this process's share.
        accelerator: of this process.

    Returns:
        `eval_loss` and `eval_tokens`, the number of labels counted; empty if none is.
    """
    sums = {"loss": 0.0, "counted": 0.0}
    objective.eval()
    for batch in batches:
        sums["loss"] += float(objective(batch.to(accelerator.device).tensors)["loss"])
        sums["counted"] += batch.counted
    objective.train()
    sums = total(accelerator, sums)
    if not sums["counted"]:
        return {}
    return {"eval_loss": sums["loss"] / sums["counted"], "eval_tokens": int(sums["counted"])}
