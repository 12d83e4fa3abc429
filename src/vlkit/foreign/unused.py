"""Which modules of a model its output does not depend on, such as a pooling head: found out by differentiation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


def unused_modules(module: Any, run: Callable[[Any], Tensor]) -> tuple[str, ...]:
    """Names of the outermost submodules none of whose parameters the output depends on.

    Args:
        module: a model without memory, from `vlkit.foreign.building.survey`; gradients are left in it.
        run: gives its output.
    """
    with torch.device("meta"), torch.enable_grad():
        run(module).sum().backward()
    return tuple(_unused(module, ""))


def _unused(module: nn.Module, prefix: str) -> Iterator[str]:
    for name, child in module.named_children():
        parameters = list(child.parameters())
        if parameters and all(parameter.grad is None for parameter in parameters):
            yield prefix + name
        else:
            yield from _unused(child, f"{prefix}{name}.")
