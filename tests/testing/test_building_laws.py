"""Every law of how a part is built catches the mistake it is for, in a part that is right without it."""

import pytest
import torch
from torch import Tensor, nn

from tests.testing.catching import caught, holds
from tests.testing.toy_projector import Merge, MergeConfig, built
from vlkit.errors import InputError
from vlkit.projectors import ProjectorConfig, projectors
from vlkit.testing import check_projector, examine


class HidesAScale(Merge):
    def add_layers(self) -> None:
        self.scale = torch.randn(self.out_dim)

    def mix(self, x_NYXW: Tensor) -> Tensor:
        return super().mix(x_NYXW) * self.scale.to(x_NYXW.dtype)


class HidesLayers(Merge):
    def add_layers(self) -> None:
        self.more = [nn.Linear(self.out_dim, self.out_dim)]

    def mix(self, x_NYXW: Tensor) -> Tensor:
        return self.more[0].to(x_NYXW.dtype)(super().mix(x_NYXW))


class HidesAMapping(Merge):
    def add_layers(self) -> None:
        self.more = {"shift": torch.randn(self.out_dim), "name": "shift"}

    def mix(self, x_NYXW: Tensor) -> Tensor:
        return super().mix(x_NYXW) + torch.as_tensor(self.more["shift"]).to(x_NYXW.dtype)


class MakesLayersLate(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        if not hasattr(self, "late"):
            self.late = nn.Parameter(torch.zeros(self.out_dim, dtype=x_NYXW.dtype))
        return super().mix(x_NYXW) + self.late


class SeedsWhenBuilt(Merge):
    def add_layers(self) -> None:
        torch.manual_seed(0)
        self.up.reset_parameters()


class SetsDeterminismWhenBuilt(Merge):
    def add_layers(self) -> None:
        torch.use_deterministic_algorithms(True)


class ReadsValues(Merge):
    def add_layers(self) -> None:
        if self.up.weight.abs().max().item() > 1:
            self.up.reset_parameters()


class NamesADevice(Merge):
    def add_layers(self) -> None:
        self.shift = nn.Parameter(torch.zeros(self.out_dim, device="cpu"))

    def mix(self, x_NYXW: Tensor) -> Tensor:
        return super().mix(x_NYXW) + self.shift


class AsksForTheDevice(Merge):
    def add_layers(self) -> None:
        if not self.up.weight.is_meta:
            self.shift = nn.Parameter(torch.zeros(self.out_dim))


class KeepsATable(Merge):
    def add_layers(self) -> None:
        self.register_buffer("table", torch.linspace(0, 1, self.out_dim), persistent=False)

    def mix(self, x_NYXW: Tensor) -> Tensor:
        return super().mix(x_NYXW) + self.get_buffer("table")


class ForgetsItsConfig(Merge):
    def __init__(self, config: ProjectorConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.config = None  # type: ignore[assignment]


class LeavesHoles(Merge):
    def add_layers(self) -> None:
        nn.init.constant_(self.up.weight, torch.nan)


class ComputesInItsConstructor(Merge):
    def add_layers(self) -> None:
        self.scale = 1.0 if self.up.weight.is_meta else 2.0

    def mix(self, x_NYXW: Tensor) -> Tensor:
        return super().mix(x_NYXW) * self.scale


WRONG: list[tuple[type[Merge], str, tuple[str, ...]]] = [
    (LeavesHoles, "runs", ("not finite", "torch.empty", "nn.init")),
    (HidesAScale, "state_dict", ("with the same state dict", "'scale' is not in the state dict", "register_buffer")),
    (HidesLayers, "state_dict", ("'more' is not in the state dict", "nn.ModuleList")),
    (MakesLayersLate, "state_dict", ("after forward the state dict has other names: 'late'",)),
    (SeedsWhenBuilt, "pure_building", ("whatever the seed before", "the constructor calls torch.manual_seed")),
    (SetsDeterminismWhenBuilt, "pure_building", ("deterministic algorithms ((False, False) became (True, False))",)),
    (ReadsValues, "meta", ("RuntimeError", "test_building_laws.py", ".item()")),
    (NamesADevice, "meta", ("'shift' takes memory", "explicit device")),
    (AsksForTheDevice, "meta", ("'shift' differ from those of a real part",)),
    (HidesAScale, "meta_load", ("'scale' has no numbers after loading", "a plain attribute")),
    (HidesAMapping, "state_dict", ("'more' is not in the state dict",)),
    (KeepsATable, "meta_load", ("'table' has no numbers after loading", "persistent=False")),
    (ComputesInItsConstructor, "meta_load", ("a part loaded onto meta gives another result",)),
]  # fmt: skip


@pytest.mark.parametrize(("part", "law", "words"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_a_mistake_breaks_its_law(part: type[Merge], law: str, words: tuple[str, ...]) -> None:
    caught(built(part), law, *words)
    holds(built(Merge), law)


def test_a_part_that_forgets_its_config_breaks_the_first_law() -> None:
    with projectors.scratch():
        projectors.register(MergeConfig)(ForgetsItsConfig)
        caught(MergeConfig(), "builds", "its `config` is", "super().__init__")
    with pytest.raises(InputError, match="keeps its config"):
        check_projector(ForgetsItsConfig(MergeConfig(), in_dim=4, out_dim=6))


def test_a_constructor_that_fails_leaves_one_broken_law_and_skips_the_rest() -> None:
    class Fails(Merge):
        broken = False

        def add_layers(self) -> None:
            if self.broken:
                raise IndexError("no layer 3")

    part = built(Fails)
    Fails.broken = True
    with pytest.raises(AssertionError, match="breaks the law 'builds': IndexError: no layer 3") as caught_error:
        check_projector(part, skip=["meta", "tag"])
    assert not hasattr(caught_error.value, "__notes__")


def test_a_part_that_cannot_be_made_on_meta_is_still_tested_otherwise() -> None:
    with projectors.scratch():
        projectors.register(MergeConfig)(ReadsValues)
        report = examine(MergeConfig(), compiles=False, exports=False)
    assert {found.law for found in report.of("failed")} == {"meta", "meta_load"}
