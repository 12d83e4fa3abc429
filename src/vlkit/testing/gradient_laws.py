"""Laws of gradients: they reach every parameter, and none that the part calls idle."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlkit.testing.comparing import normal
from vlkit.testing.law import Broken, law
from vlkit.testing.module_subject import ModuleSubject

DRAWS = 8
"""Inputs that are tried until all parameters are reached: of many experts one input chooses only some."""


def backward(results: list[Tensor], seed: int) -> None:
    """Gradients of a random weighting of all results; an unweighted sum would vanish behind a norm."""
    weighted = [
        (result * normal(seed + number, *result.shape, dtype=result.dtype)).sum()
        for number, result in enumerate(results)
        if result.requires_grad
    ]
    if weighted:
        torch.stack(weighted).sum().backward()


@law()
def gradients(subject: ModuleSubject) -> None:
    """Every parameter gets a gradient, except those of `idle_modules`, which get none."""
    for training in (False, True):
        part, mode = subject.part().train(training), "training" if training else "evaluation"
        idle = subject.idle_parameters(part)
        wanted = {name: p for name, p in part.named_parameters() if p.requires_grad and name not in idle}
        for seed in range(DRAWS):
            backward(subject.everything(part, subject.x(samples=3, seed=seed)), seed=100)
            if all(_reached(parameter) for parameter in wanted.values()):
                break
        for name, parameter in part.named_parameters():
            if name in idle and _reached(parameter):
                raise Broken(
                    f"parameter {name!r} gets a gradient in {mode}, though idle_modules names its module",
                    likely="idle_modules lists a module that forward runs",
                    remedy="take it off the list; parameters there may be left out of memory and of checkpoints",
                )
            if name in wanted and not _reached(parameter):
                got = "no gradient" if parameter.grad is None else "only zeros for a gradient"
                raise Broken(
                    f"parameter {name!r} gets {got} in {mode}",
                    likely="its output is detached, computed under torch.no_grad, unused, or multiplied by zero",
                    remedy="use it, remove it, or name its module in idle_modules if that is intended",
                )


def _reached(parameter: nn.Parameter) -> bool:
    return parameter.grad is not None and bool(parameter.grad.any())


def input_gradient(subject: ModuleSubject, x: Tensor) -> Tensor:
    """Size of the gradient that reaches each number of an input.

    Raises:
        Broken: if none reaches the input.
    """
    x = x.clone().requires_grad_()
    result = subject.output(subject.part(), x)
    if not result.requires_grad:
        raise Broken(
            f"the result does not depend on {subject.x_name}: it carries no gradient",
            likely="forward runs under torch.no_grad, detaches its result, or goes through numpy",
            remedy="leave torch.no_grad to the caller",
        )
    backward([result], seed=200)
    if x.grad is None or not bool(x.grad.any()):
        raise Broken(
            f"no gradient reaches {subject.x_name}",
            likely="forward detaches its input, rounds it, or runs a first step under torch.no_grad",
            remedy="leave torch.no_grad to the caller",
        )
    return x.grad.abs()
