"""The processes and devices of a run, through accelerate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vlkit.foreign.extras import load_extra


def start(*, precision: str, device: str) -> Any:
    """The `accelerate.Accelerator` of this process, alone or as `accelerate launch` or `torchrun` started it.

    Args:
        precision: "bf16" for autocast, "fp32" for none.
        device: "cpu", or "auto" for what accelerate finds.

    Raises:
        ConfigError: if accelerate is not installed.
    """
    accelerate = load_extra("accelerate", extra="train", purpose="training")
    state = load_extra("accelerate.state", extra="train", purpose="training")
    state.AcceleratorState._reset_state(reset_partial_state=True)  # a run before this one may have had another type
    parallel = accelerate.DistributedDataParallelKwargs(find_unused_parameters=True)
    return accelerate.Accelerator(
        cpu=device == "cpu",
        mixed_precision="bf16" if precision == "bf16" else "no",
        kwargs_handlers=[parallel],
    )


def total(accelerator: Any, values: Mapping[str, float]) -> dict[str, float]:
    """Sums over all processes."""
    if accelerator.num_processes == 1:
        return dict(values)
    kind = torch.float32 if accelerator.device.type == "mps" else torch.float64
    summed: Tensor = accelerator.reduce(
        torch.tensor(list(values.values()), dtype=kind, device=accelerator.device), reduction="sum"
    )
    return dict(zip(values, summed.tolist()))


def total_tensor(accelerator: Any, tensor: Tensor) -> Tensor:
    """Sum of a tensor over all processes."""
    return tensor if accelerator.num_processes == 1 else accelerator.reduce(tensor, reduction="sum")
