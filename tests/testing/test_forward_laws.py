"""Every law of what a part does with its input catches the mistake it is for, in a part that is right without it."""

import os

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.testing.catching import caught, holds, outcome
from tests.testing.toy_projector import Merge, MergeConfig, built
from vlkit.projectors import projectors


class DropsOut(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        return F.dropout(super().mix(x_NYXW), 0.5)


class Counts(Merge):
    calls = 0

    def mix(self, x_NYXW: Tensor) -> Tensor:
        self.calls += 1
        return super().mix(x_NYXW) * self.calls


class AddsInPlace(Merge):
    def blocks(self, x_NYXW: Tensor) -> Tensor:
        return super().blocks(x_NYXW.mul_(2))


class AddsInPlaceInTraining(Merge):
    def blocks(self, x_NYXW: Tensor) -> Tensor:
        return super().blocks(x_NYXW.add_(0) if self.training else x_NYXW)


class SeedsInForward(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        torch.manual_seed(7)
        return super().mix(x_NYXW)


class SeedsInTraining(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        if self.training:
            torch.manual_seed(7)
        return super().mix(x_NYXW)


class SetsTheDtype(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        torch.set_default_dtype(torch.bfloat16)
        return super().mix(x_NYXW)


class SetsTheEnvironment(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        os.environ["PROJECTOR_RAN"] = "1"
        return super().mix(x_NYXW)


class TurnsGradientsOff(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        out = super().mix(x_NYXW)
        torch.set_grad_enabled(False)
        return out


class Registers(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        projectors.register(MergeConfig, replace=True)(Merge)
        return super().mix(x_NYXW)


class NormalisesOverSamples(Merge):
    def add_layers(self) -> None:
        self.norm = nn.BatchNorm2d(self.out_dim)

    def mix(self, x_NYXW: Tensor) -> Tensor:
        return self.norm(super().mix(x_NYXW).movedim(-1, 1)).movedim(1, -1)


class SubtractsTheMean(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        out = super().mix(x_NYXW)
        return out - out.mean()


class ScalesByTheLargest(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        return super().mix(x_NYXW / x_NYXW.abs().max().detach())


class StaysInFloat32(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        return super().mix(x_NYXW).float()


class MeetsAFixedDtype(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        return super().mix(x_NYXW) @ torch.eye(self.out_dim)


class NeedsFloat32(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        if x_NYXW.dtype == torch.float64:
            raise NotImplementedError("no float64 here")
        return super().mix(x_NYXW)


class FailsInTraining(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        return super().mix(x_NYXW) + (torch.zeros(7) if self.training else 0)


class HasARootAtZero(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        return super().mix(x_NYXW) + (self.up.bias * 0).sqrt()


class GivesHuge(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        return super().mix(x_NYXW) + (torch.finfo(torch.float32).max if x_NYXW.dtype == torch.bfloat16 else 0)


class ForgetsToMove(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        return super().mix(x_NYXW) * (0 if self.training else 1)


WRONG: list[tuple[type[Merge], str, tuple[str, ...]]] = [
    (DropsOut, "determinism", ("another result the second time", "functional dropout")),
    (Counts, "determinism", ("another result the second time", "kept from call to call")),
    (AddsInPlace, "inputs_unchanged", ("forward changed features in evaluation", "in place")),
    (AddsInPlaceInTraining, "inputs_unchanged", ("forward changed features in training",)),
    (SeedsInForward, "global_state", ("torch's random numbers in evaluation", "seed")),
    (SeedsInTraining, "global_state", ("whatever the seed before", "torch.manual_seed")),
    (SetsTheDtype, "global_state", ("the default dtype (torch.float32 became torch.bfloat16)",)),
    (SetsTheEnvironment, "global_state", ("the environment (PROJECTOR_RAN)",)),
    (TurnsGradientsOff, "global_state", ("the gradient mode (True became False)",)),
    (Registers, "global_state", ("other parts are registered than before",)),
    (NormalisesOverSamples, "batch_independence", ("in training other samples change", "batch norm in 'norm'")),
    (SubtractsTheMean, "batch_independence", ("in evaluation other samples change", "a mean, maximum")),
    (ScalesByTheLargest, "batch_independence", ("in evaluation other samples change",)),
    (StaysInFloat32, "dtypes", ("for torch.bfloat16 the result is torch.float32", ".to(x.dtype)")),
    (MeetsAFixedDtype, "dtypes", ("RuntimeError", "fixed dtype")),
    (GivesHuge, "dtypes", ("in torch.bfloat16 some numbers are not finite",)),
    (ForgetsToMove, "training", ("no weight moved",)),
    (FailsInTraining, "training", ("RuntimeError", "forward in training takes another path")),
    (HasARootAtZero, "training", ("the gradients of 'up.bias' are not finite", "epsilon")),
]  # fmt: skip


@pytest.mark.parametrize(("part", "law", "words"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_a_mistake_breaks_its_law(part: type[Merge], law: str, words: tuple[str, ...]) -> None:
    before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state().sum()
    with projectors.scratch():
        caught(built(part), law, *words)
    assert (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_rng_state().sum()) == before
    assert "PROJECTOR_RAN" not in os.environ
    holds(built(Merge), law)


def test_what_needs_float32_is_tested_in_float32_with_a_remark() -> None:
    found = outcome(built(NeedsFloat32), "dtypes")
    assert (found.status, "does not run in float64" in str(found.reason)) == ("noted", True)
