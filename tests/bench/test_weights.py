"""Repeated random numbers: every number is written, the distribution is the one asked for."""

import pytest
import torch
from torch import nn

import vlkit
from vlkit.bench import repeated_random
from vlkit.bench.weights import BLOCK


@pytest.mark.parametrize("rest", [0, 5])
def test_long_tensors_repeat_a_drawn_block(rest: int) -> None:
    tensor = torch.full((2 * BLOCK + rest,), 9.0)
    with repeated_random():
        tensor.normal_(mean=1.0, std=0.25)
    block = tensor[:BLOCK]
    assert torch.equal(tensor[BLOCK : 2 * BLOCK], block) and torch.equal(tensor[2 * BLOCK :], block[:rest])
    assert abs(float(block.mean()) - 1) < 0.002 and abs(float(block.std()) - 0.25) < 0.002


def test_short_tensors_are_drawn_as_ever() -> None:
    expected = torch.empty(1000).uniform_(generator=torch.Generator().manual_seed(3))
    with repeated_random():
        found = torch.empty(1000).uniform_(generator=torch.Generator().manual_seed(3))
    assert torch.equal(found, expected)


def test_modules_initialise_themselves_as_ever() -> None:
    with repeated_random():
        layer = nn.Linear(1500, 1500)
        model = vlkit.build("mini", dtype=torch.bfloat16)
    bound = 1500**-0.5
    assert 0.99 * bound < float(layer.weight.detach().abs().max()) <= bound
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert model.decoder.get_parameter("norm.weight").eq(1).all()


def test_views_and_meta_tensors_are_left_alone() -> None:
    with repeated_random(), torch.device("meta"):
        assert nn.Linear(1500, 1500).weight.is_meta
    strided = torch.zeros(2 * BLOCK, 2)[:, 0]
    with repeated_random():
        strided.normal_()
    assert not torch.equal(strided[:BLOCK], strided[BLOCK:])
