"""The optimiser's groups, rates and state."""

import pytest
import torch
from torch import nn

from vlkit.errors import CheckpointError
from vlkit.training import Group
from vlkit.training.optimizer import AdamWConfig, build_optimizer, optimizer_tensors, restore_optimizer, set_rates


def setup(seed: int = 0) -> tuple[nn.Module, torch.optim.AdamW]:
    torch.manual_seed(seed)
    first, second = nn.Linear(3, 2), nn.Linear(2, 1, bias=False)
    model = nn.Sequential(first, second)
    first.bias.requires_grad_(False)
    groups = [
        Group("first", ("0.weight", "0.bias"), tuple(first.parameters()), lr=0.1, weight_decay=0.5),
        Group("second", ("1.weight",), tuple(second.parameters()), lr=0.01, weight_decay=0.0),
    ]
    return model, build_optimizer(AdamWConfig(betas=(0.8, 0.9)), groups)


def advance(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    model(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def names(model: nn.Module) -> dict[nn.Parameter, str]:
    return {parameter: name for name, parameter in model.named_parameters()}


def test_groups_keep_their_rates_and_only_what_trains_is_in() -> None:
    _, optimizer = setup()
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1]
    set_rates(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.005]
    set_rates(optimizer, 1.0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.01]
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)


def test_state_comes_back_and_steps_go_on_bit_for_bit() -> None:
    model, optimizer = setup()
    advance(model, optimizer)
    tensors = optimizer_tensors(optimizer, names(model))
    assert {name for name in tensors if name.startswith("1.")} == {
        "1.weight.step",
        "1.weight.exp_avg",
        "1.weight.exp_avg_sq",
    }
    other, again = setup(seed=1)
    other.load_state_dict(model.state_dict())
    restore_optimizer(again, names(other), {name: tensor.clone() for name, tensor in tensors.items()})
    for _ in range(3):
        advance(model, optimizer)
        advance(other, again)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), other.parameters(), strict=True))


def test_state_of_other_parameters_is_refused() -> None:
    model, optimizer = setup()
    with pytest.raises(CheckpointError, match=r"2\.weight"):
        restore_optimizer(optimizer, names(model), {"2.weight.exp_avg": torch.zeros(2)})
