"""AdamW over the parts of a model, as the DeepSeek-VL2 paper uses it. Papers: arXiv:1711.05101, arXiv:2412.10302."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Protocol, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from vlkit.config import Config
from vlkit.errors import CheckpointError
from vlkit.training.sharding import pieces_like, whole

Rate = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
Beta = Annotated[float, Field(ge=0, lt=1)]


class AdamWConfig(Config):
    """Rates and moments of AdamW; parts may have a rate and a decay of their own."""

    lr: Rate = 3e-4
    """Learning rate at its highest."""
    betas: tuple[Beta, Beta] = (0.9, 0.95)
    """Decay of the first and the second moment."""
    eps: float = Field(default=1e-8, gt=0, le=1)
    """Added to the root of the second moment."""
    weight_decay: float = Field(default=0.1, ge=0, le=10)
    """Decay of matrices, relative to the learning rate."""


class Group(Protocol):
    """Parameters that share a rate and a decay."""

    @property
    def parameters(self) -> Iterable[nn.Parameter]: ...

    @property
    def lr(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...


def build_optimizer(config: AdamWConfig, groups: Iterable[Group]) -> torch.optim.AdamW:
    """Optimiser over the groups' trainable parameters; each keeps its highest rate as `peak_lr`."""
    tables = [
        {"params": kept, "lr": group.lr, "peak_lr": group.lr, "weight_decay": group.weight_decay}
        for group in groups
        if (kept := [parameter for parameter in group.parameters if parameter.requires_grad])
    ]
    return torch.optim.AdamW(
        tables, lr=config.lr, betas=config.betas, eps=config.eps, weight_decay=config.weight_decay, fused=True
    )


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give every group this share of its highest rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: Mapping[nn.Parameter, str]) -> dict[str, Tensor]:
    """State of the optimiser as tensors, each named after its parameter: `decoder.norm.weight.exp_avg`."""
    return {
        f"{names[parameter]}.{kind}": whole(value)
        for parameter, state in cast("Mapping[nn.Parameter, dict[str, Any]]", optimizer.state).items()
        for kind, value in state.items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: Mapping[nn.Parameter, str], tensors: Mapping[str, Tensor]
) -> None:
    """Put tensors of `optimizer_tensors` back.

    Raises:
        CheckpointError: if they belong to other parameters.
    """
    parameters = {names[each]: each for group in optimizer.param_groups for each in group["params"]}
    state: dict[nn.Parameter, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        owner, _, kind = name.rpartition(".")
        if owner not in parameters:
            raise CheckpointError(
                f"the optimiser's state has {owner!r:.200}",
                rule="it is the state of the parameters that train",
                remedy="resume with the recipe that the run began with",
            )
        parameter = parameters[owner]
        place = tensor.device if kind == "step" else parameter.device
        moved = tensor.to(place, copy=True)
        state.setdefault(parameter, {})[kind] = moved if kind == "step" else pieces_like(moved, parameter)
    for parameter, own in state.items():
        optimizer.state[parameter] = own
