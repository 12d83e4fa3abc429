"""How evenly the experts of a model are used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vlkit.nn.balance import expert_load
from vlkit.nn.router import Routing


@dataclass
class ExpertStatistics:
    """Tokens that chose each expert of each layer, added up over batches.

    Args:
        loads: float64[E] of each layer by its index.
    """

    loads: dict[int, Tensor] = field(default_factory=dict)

    def add(self, routings: Mapping[int, Routing] | None, attention_mask: Tensor | None = None) -> None:
        """Count a batch.

        Args:
            routings: as a model gives them with `output_routing=True`.
            attention_mask: bool[B, T], False on padding, which does not count.
        """
        mask_M = None if attention_mask is None else attention_mask.flatten()
        self.add_loads({index: expert_load(routing, mask_M) for index, routing in (routings or {}).items()})

    def add_loads(self, loads: Mapping[int, Tensor]) -> None:
        """Count tokens per expert, float[E], of each layer; those of other processes too."""
        for index, load_E in loads.items():
            load_E = load_E.detach().to("cpu", torch.float64)
            self.loads[index] = self.loads[index] + load_E if index in self.loads else load_E

    def clear(self) -> None:
        """Count anew."""
        self.loads.clear()

    def summary(self) -> dict[str, float]:
        """Means over layers of `expert_entropy` and `expert_max_to_mean`, and the share of `idle_experts`.

        Empty if nothing was counted.
        """
        loads = [load_E for load_E in self.loads.values() if load_E.sum() > 0]
        if not loads:
            return {}
        return {
            "expert_entropy": sum(map(entropy, loads)) / len(loads),
            "expert_max_to_mean": sum(map(max_to_mean, loads)) / len(loads),
            "idle_experts": sum(int((load_E == 0).sum()) for load_E in loads) / sum(map(len, loads)),
        }

    def __str__(self) -> str:
        rows = [("layer", "entropy", "max / mean", "idle")]
        rows += [
            (
                str(index),
                f"{entropy(load_E):.3f}",
                f"{max_to_mean(load_E):.2f}",
                f"{int((load_E == 0).sum())} of {len(load_E)}",
            )
            for index, load_E in sorted(self.loads.items())
        ]
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows)


def entropy(load_E: Tensor) -> float:
    """Entropy of the tokens' distribution over the experts: 1 if all are used alike, 0 if one is.

    Args:
        load_E: float[E], tokens per expert.
    """
    share_E = load_E.double() / load_E.sum().clamp(min=1)
    largest = math.log(len(load_E))
    return float(torch.special.entr(share_E).sum()) / largest if largest else 1.0


def max_to_mean(load_E: Tensor) -> float:
    """Tokens of the busiest expert over the mean: 1 if all are used alike, at most the number of experts."""
    load_E = load_E.double()
    return float(load_E.max() / load_E.mean().clamp(min=torch.finfo(torch.float64).tiny))
