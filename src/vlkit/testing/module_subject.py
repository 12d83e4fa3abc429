"""A module that is put to the test: how it is built, what it is run on, and what it gives."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from vlkit.testing.comparing import normal
from vlkit.testing.state import isolated, tags
from vlkit.testing.subject import Subject

ModuleT = TypeVar("ModuleT", bound=nn.Module)

SHAKE = 0.5
"""Noise that is added to fresh weights, relative to what keeps the size of features; no zero can hide a path then."""


class ModuleSubject(Subject):
    """A part that is an `nn.Module`."""

    x_name: ClassVar[str] = "x"
    """What messages call its input."""

    @property
    def context(self) -> Mapping[str, Any]:
        """What the part's neighbours know, as arguments of its constructor."""
        return {}

    @cached_property
    def tags_before(self) -> dict[str, tuple[str, ...]]:
        """What was registered before the part was built for the first time."""
        return tags()

    def build(self) -> nn.Module:
        """Fresh part on the default device, as the registry builds it."""
        _ = self.tags_before
        if self.given is not None:
            part: nn.Module = type(self.given)(self.config, **self.context)
        else:
            part = self.registry.build(self.config, **self.context)
        return part

    def part(self, dtype: torch.dtype | None = None) -> nn.Module:
        """Own copy of the part for evaluation: the given one, or a fresh one with noise on its weights."""
        return copy.deepcopy(self._original).to(dtype or self.dtype).eval()

    def part_for_shapes(self) -> tuple[nn.Module, str]:
        """Part that shapes can be read from, and its device: `meta` if it is too large for numbers."""
        if not self.too_large:
            return self.part(torch.float32), "cpu"
        with torch.device("meta"):
            return self.build().eval(), "meta"

    def x(self, samples: int = 2, seed: int = 0, dtype: torch.dtype | None = None) -> Tensor:
        """Random input of some samples."""
        raise NotImplementedError

    def output(self, part: nn.Module, x: Tensor) -> Tensor:
        """What the part makes of an input."""
        out: Tensor = part(x)
        return out

    def declared_flops(self) -> int:
        """Operations that the config declares for the input of one sample; 0 if it does not."""
        return 0

    def everything(self, part: nn.Module, x: Tensor) -> list[Tensor]:
        """All results of a part that its parameters should matter for."""
        return [self.output(part, x)]

    def rows_of(self, x: Tensor, samples: int) -> list[Tensor]:
        """An input or a result as one tensor per sample."""
        return list(x.split(len(x) // samples))

    def idle_parameters(self, part: nn.Module) -> set[str]:
        """Names of the parameters that the part says are never used."""
        idle: Iterable[nn.Module] = getattr(part, "idle_modules", tuple)()
        inside = {id(parameter) for module in idle for parameter in module.parameters()}
        return {name for name, parameter in part.named_parameters() if id(parameter) in inside}

    @cached_property
    def dtype(self) -> torch.dtype:
        """Float64, in which mistakes stand out from rounding, or float32 if the part cannot do it."""
        with isolated():
            try:
                self.output(self.part(torch.float64), self.x(dtype=torch.float64))
            except Exception:
                return torch.float32
        return torch.float64

    @cached_property
    def parameters(self) -> int:
        if self.given is not None:
            return sum(parameter.numel() for parameter in self.given.parameters())
        with isolated():
            try:
                with torch.device("meta"):
                    part = self.build()
            except Exception:
                part = self.build()
            return sum(parameter.numel() for parameter in part.parameters())

    @cached_property
    def _original(self) -> nn.Module:
        _ = self.tags_before
        if self.given is not None:
            original: nn.Module = copy.deepcopy(self.given).cpu()
            return original
        with isolated():
            return shaken(self.build())


@torch.no_grad()
def shaken(module: ModuleT) -> ModuleT:
    """The module, with noise added to its weights."""
    for number, parameter in enumerate(module.parameters()):
        if parameter.is_floating_point():
            fan = math.prod(parameter.shape[1:]) if parameter.ndim > 1 else 4
            noise = normal(number, *parameter.shape, dtype=parameter.dtype)
            parameter.add_(noise.to(parameter.device), alpha=SHAKE * max(fan, 1) ** -0.5)
    return module
