"""What a training step minimises: model and loss as one module, so that a wrapper around it sees one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from vlkit.nn.balance import expert_load
from vlkit.nn.router import Router
from vlkit.vlm import VLM


class Objective(nn.Module):
    """Loss of a batch.

    Args:
        model: what trains.
    """

    def __init__(self, model: VLM) -> None:
        super().__init__()
        self.model = model
        self.routers = routers_of(model)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Any]:
        """Loss of a batch as `vlkit.training.Batches` gives it.

        Returns:
            `loss`: cross entropy, summed over the counted labels; `aux_loss`: balance loss of the experts, in training
            and where there is one; `loads`: tokens per expert, float32[E], of each layer with a router.
        """
        out = self.model(**batch, logits_to_keep=0, output_routing=bool(self.routers), reduction="sum")
        mask_M = batch["attention_mask"].flatten()
        outcome = {"loss": out.loss, "loads": {}}
        if out.aux_loss is not None:
            outcome["aux_loss"] = out.aux_loss
        if self.routers and out.routings:
            outcome["loads"] = {index: expert_load(out.routings[index], mask_M) for index in self.routers}
        return outcome


def routers_of(model: VLM) -> dict[int, Router]:
    """Routers of the decoder by the index of their layer; empty for decoders whose layers are not vlkit's."""
    layers = getattr(model.decoder, "layers", None)
    if not isinstance(layers, nn.ModuleList):
        return {}
    found = {
        index: [each for each in layer.modules() if isinstance(each, Router)] for index, layer in enumerate(layers)
    }
    return {index: routers[0] for index, routers in found.items() if routers}
