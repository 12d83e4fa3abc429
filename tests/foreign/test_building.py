"""Modules of other libraries on meta: weights take no memory, tables hold numbers; limits on what is built."""

import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vlkit.errors import ConfigError
from vlkit.foreign import building
from vlkit.foreign.building import build, survey
from vlkit.foreign.tables import PreciseTables, move_tables, round_tables, tables


class Shares(nn.Module):
    """A module with tables made in the usual ways, and one parameter under two names."""

    steps: Tensor
    waves: Tensor
    beside: Tensor

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.twin = nn.Linear(width, width)
        self.twin.weight = self.inner.weight
        shared = nn.Parameter(torch.randn(width))
        self.one, self.other = shared, shared
        self.frozen = nn.Parameter(torch.zeros(2), requires_grad=False)
        self.register_buffer("steps", torch.arange(width), persistent=False)
        self.register_buffer("waves", torch.linspace(0, 1, width), persistent=False)
        beside = self.inner.weight
        self.register_buffer("beside", torch.ones(2, device=beside.device, dtype=beside.dtype), persistent=False)
        self.register_buffer("counted", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Something that needs every table."""
        out: Tensor = self.twin(self.inner(x) * self.waves + self.steps) + self.beside[0]
        return out


class Wide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(2**29), persistent=False)


def on_meta(make: Any) -> Any:
    with torch.device("meta"):
        return build(make)


def test_weights_take_no_memory_and_tables_hold_what_they_hold_elsewhere() -> None:
    module, real = on_meta(Shares), build(Shares)
    assert all(tensor.is_meta for tensor in module.state_dict().values())
    assert not any(parameter.is_meta for parameter in real.parameters())
    names = ["steps", "waves", "beside"]
    assert [table.name for table in tables(module)] == names
    for name in names:
        assert torch.equal(getattr(module, name), getattr(real, name))
    assert module.inner.weight is module.twin.weight and module.one is module.other
    assert (module.one.requires_grad, module.frozen.requires_grad) == (True, False)


def test_a_module_without_tables_is_on_meta_as_a_whole() -> None:
    made = on_meta(lambda: nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    assert all(tensor.is_meta for tensor in made.state_dict().values())


def test_the_context_ends_with_the_building() -> None:
    class Fails(Shares):
        def __init__(self) -> None:
            super().__init__()
            if not self.steps.is_meta:
                assert self.inner.weight.is_meta
                raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        on_meta(Fails)
    assert not nn.Linear(2, 2).weight.is_meta
    assert nn.Linear(2, 2, device="meta").weight.device.type == "meta"


def test_other_threads_build_as_ever_meanwhile() -> None:
    made: list[bool] = []

    class Starts(Shares):
        def __init__(self) -> None:
            super().__init__()
            thread = threading.Thread(target=lambda: made.append(nn.Linear(2, 2).weight.is_meta))
            thread.start()
            thread.join()

    assert on_meta(Starts).inner.weight.is_meta
    assert made == [False, False]


def test_too_large_tables_and_too_many_modules_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"Wide computes tables of 2,147,483,648 bytes[\s\S]*at most 1,073,741,824"):
        survey(Wide)
    monkeypatch.setattr(building, "MAX_MODULES", 20)
    made = survey(lambda: nn.Sequential(*(nn.Identity() for _ in range(20))))
    assert len(made) == 20
    for builder in (survey, build):
        with pytest.raises(ConfigError, match=r"Sequential has over 20 modules"):
            builder(lambda: nn.Sequential(*(nn.Identity() for _ in range(21))))


@pytest.mark.parametrize(("hook", "dtype"), [(move_tables, torch.float32), (round_tables, torch.bfloat16)])
def test_tables_follow_loaded_weights(hook: Any, dtype: torch.dtype) -> None:
    real = build(Shares)
    module = on_meta(Shares)
    module.register_load_state_dict_post_hook(hook)
    module.load_state_dict({name: tensor.bfloat16() for name, tensor in real.state_dict().items()}, assign=True)
    assert (module.waves.dtype, module.steps.dtype) == (dtype, torch.int64)
    exact = build(Shares)
    exact.register_load_state_dict_post_hook(hook)
    exact.load_state_dict(real.state_dict())
    x = torch.randn(3, 4)
    assert torch.equal(exact(x), real(x))


class Precise(PreciseTables):
    def __init__(self) -> None:
        super().__init__()
        self.shares = Shares()


def test_precise_tables_keep_their_type_and_change_their_device() -> None:
    module = nn.Sequential(Precise()).to(torch.bfloat16)
    shares = module[0].get_submodule("shares")
    assert isinstance(shares, Shares)
    assert (shares.waves.dtype, shares.inner.weight.dtype) == (torch.float32, torch.bfloat16)
    assert torch.equal(shares.waves, torch.linspace(0, 1, 4))
    assert module.to("meta")[0].get_submodule("shares").get_buffer("waves").is_meta
