"""Every law of gradients catches the mistake it is for, in a part that is right without it."""

import pytest
import torch
from torch import Tensor, nn

from tests.testing.catching import caught, holds
from tests.testing.toy_projector import Merge, built
from vlkit.testing.state import isolated


class DetachesTheGate(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        return self.up(x_NYXW) * self.gate(x_NYXW).sigmoid().detach()


class ZeroesTheGate(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        return self.up(x_NYXW) + 0 * self.gate(x_NYXW)


class HasUnusedLayers(Merge):
    def add_layers(self) -> None:
        self.head = nn.Linear(3, 3)


class NamesUnusedLayers(HasUnusedLayers):
    def idle_modules(self) -> tuple[nn.Module, ...]:
        """The head."""
        return (self.head,)


class NamesUsedLayers(Merge):
    def idle_modules(self) -> tuple[nn.Module, ...]:
        """The gate, which is not idle at all."""
        return (self.gate,)


class ChoosesExperts(Merge):
    def add_layers(self) -> None:
        self.experts = nn.ModuleList(nn.Linear(self.out_dim, self.out_dim) for _ in range(8))

    def mix(self, x_NYXW: Tensor) -> Tensor:
        out = super().mix(x_NYXW)
        chosen = (out.detach().sum(dim=-1) * 1e5).long() % 8
        rows = [self.experts[int(n)](row) for n, row in zip(chosen.flatten(), out.flatten(0, 2), strict=True)]
        return torch.stack(rows).view_as(out)


WRONG: list[tuple[type[Merge], str, tuple[str, ...]]] = [
    (DetachesTheGate, "gradients", ("parameter 'gate.weight' gets no gradient", "detached", "idle_modules")),
    (ZeroesTheGate, "gradients", ("parameter 'gate.weight' gets only zeros", "multiplied by zero")),
    (HasUnusedLayers, "gradients", ("parameter 'head.weight' gets no gradient", "unused")),
    (NamesUsedLayers, "gradients", ("'gate.weight' gets a gradient", "idle_modules lists a module that forward runs")),
]  # fmt: skip


@pytest.mark.parametrize(("part", "law", "words"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_a_mistake_breaks_its_law(part: type[Merge], law: str, words: tuple[str, ...]) -> None:
    caught(built(part), law, *words)
    holds(built(Merge), law)


def test_idle_modules_are_left_out() -> None:
    holds(built(NamesUnusedLayers), "gradients")


def test_experts_that_an_input_does_not_choose_are_reached_by_another() -> None:
    with isolated():
        part = built(ChoosesExperts)
    holds(part, "gradients")
