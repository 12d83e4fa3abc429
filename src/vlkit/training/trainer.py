"""The loop: batches in, steps of the optimiser out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from vlkit.errors import TrainingError
from vlkit.nn.balance import update_correction_bias
from vlkit.training.batching import Batches
from vlkit.training.groups import Group
from vlkit.training.machine import total, total_tensor
from vlkit.training.objective import Objective
from vlkit.training.optimizer import build_optimizer, set_rates
from vlkit.training.recipe import Recipe
from vlkit.training.sharding import pieces_like, whole
from vlkit.training.training_batch import TrainingBatch
from vlkit.vlm import VLM

Loads = dict[int, Tensor]


class Trainer:
    """Model and optimiser on their device, and one step after the other.

    Args:
        recipe: of the run.
        model: in float32; it is moved to the device.
        groups: its parameters.
        batches: this process's share.
        accelerator: of this process.
    """

    def __init__(self, recipe: Recipe, model: VLM, groups: list[Group], batches: Batches, accelerator: Any) -> None:
        self.recipe, self.model, self.batches, self.accelerator = recipe, model, batches, accelerator
        self.routers = Objective(model).routers
        model.train()
        self.objective, self.optimizer = accelerator.prepare(
            Objective(model), build_optimizer(recipe.optimizer, groups)
        )
        self.step = 0
        self.loads: Loads = {}
        self._coming: Iterator[TrainingBatch] | None = None

    @property
    def names(self) -> dict[nn.Parameter, str]:
        """Names of the model's parameters."""
        return {parameter: name for name, parameter in self.model.named_parameters()}

    def advance(self) -> dict[str, float]:
        """One step of the optimiser, over all processes.

        Returns:
            `loss`, `aux_loss` where there is one, and `gradient_norm`, before it is clipped; `tokens`, `samples` and
            `skipped` of the step.

        Raises:
            TrainingError: if loss or gradient are not finite, or no label of the step counts; nothing changes then.
            SampleError: if a sample cannot be used and none may be skipped.
        """
        step = self.step + 1
        torch.manual_seed(_mixed(self.recipe.seed, step, self.accelerator.process_index))
        self._coming = self._coming or iter(self.batches)
        parts = [next(self._coming) for _ in range(self.recipe.accumulation)]
        sizes = total(
            self.accelerator,
            {
                "counted": sum(part.counted for part in parts),
                "tokens": sum(part.tokens for part in parts if part.samples),
                "samples": sum(part.samples for part in parts),
                "skipped": sum(part.skipped for part in parts),
            },
        )
        if not sizes["counted"]:
            raise TrainingError(f"step {step}: no label counts", rule="something is learned in every step")
        rate = self.recipe.schedule.factor(step, self.recipe.steps)
        set_rates(self.optimizer, rate)
        losses = self._backward(parts, sizes)
        norm = float(whole(self.accelerator.clip_grad_norm_(self.objective.parameters(), self.recipe.clip or math.inf)))
        self._require_finite(step, {**losses, "gradient_norm": norm})
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._balance()
        self.step = step
        return {**losses, "gradient_norm": norm, **{name: sizes[name] for name in ("tokens", "samples", "skipped")}}

    def _backward(self, parts: list[TrainingBatch], sizes: dict[str, float]) -> dict[str, float]:
        """Gradient of the loss of the whole step, and the loss."""
        world, sums = self.accelerator.num_processes, torch.zeros(2, dtype=torch.float64)
        self.loads, balanced = {}, False
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.objective):
                out = self.objective(part.to(self.accelerator.device).tensors)
                loss = out["loss"] / sizes["counted"]
                aux = out.get("aux_loss")
                if aux is not None:
                    balanced = True
                    aux = aux * part.samples / sizes["samples"]
                self.accelerator.backward((loss if aux is None else loss + aux) * world)
            sums += torch.stack([loss.detach(), loss.new_zeros(()) if aux is None else aux.detach()]).double().cpu()
            if part.samples:
                self.loads = {index: load + self.loads.get(index, 0) for index, load in out["loads"].items()}
        summed = total(self.accelerator, {"loss": sums[0].item(), "aux_loss": sums[1].item()})
        return summed if balanced else {"loss": summed["loss"]}

    def _balance(self) -> None:
        """Correction biases of the routers that have one, by the load of the whole step."""
        zeros = {
            index: torch.zeros(router.config.n_routed_experts, device=self.accelerator.device)
            for index, router in self.routers.items()
        }
        self.loads = {
            index: total_tensor(self.accelerator, self.loads.get(index, zero)) for index, zero in zeros.items()
        }
        for index, router in self.routers.items():
            if self.recipe.balance.speed and router.config.topk_method == "noaux_tc":
                load_E = pieces_like(self.loads[index], router.e_score_correction_bias)
                update_correction_bias(router, load_E, speed=self.recipe.balance.speed)

    def _require_finite(self, step: int, values: dict[str, float]) -> None:
        wrong = [f"{name} {value}" for name, value in values.items() if not math.isfinite(value)]
        if wrong:
            raise TrainingError(
                f"step {step}: {', '.join(wrong)}",
                rule="loss and gradient are finite numbers; the weights are as they were before this step",
                remedy="lower the learning rate or lengthen the warm-up, clip the gradient, or use precision fp32; "
                "the last checkpoint is whole",
            )


def _mixed(*numbers: int) -> int:
    """One seed of several numbers."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 1_000_003 + number + 1) % 2**63
    return mixed
