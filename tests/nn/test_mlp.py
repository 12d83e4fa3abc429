"""Feed-forward layers against their formulas."""

import math
from typing import Literal

import pytest
import torch
from hypothesis import given
from torch import Tensor

from tests.strategies import normal, seeds
from tests.tolerances import EXACT
from vlkit.nn.mlp import MLP, GatedMLP


def exact_gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def tanh_gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@given(seeds)
def test_mlp_uses_the_gelu_that_it_is_asked_for(approximate: Literal["none", "tanh"], seed: int) -> None:
    mlp, x = MLP(4, 7, approximate=approximate).double(), normal(seed, 2, 3, 4)
    hidden = x @ mlp.fc1.weight.T + mlp.fc1.bias
    right, wrong = (exact_gelu, tanh_gelu) if approximate == "none" else (tanh_gelu, exact_gelu)
    expected, other = (f(hidden) @ mlp.fc2.weight.T + mlp.fc2.bias for f in (right, wrong))
    assert torch.allclose(mlp(x), expected, rtol=0, atol=EXACT)
    assert not torch.allclose(mlp(x), other, rtol=0, atol=EXACT)


@given(seeds)
def test_gated_mlp_is_down_of_silu_gate_times_up(seed: int) -> None:
    mlp, x = GatedMLP(4, 7).double(), normal(seed, 2, 3, 4)
    gate, up = x @ mlp.gate_proj.weight.T, x @ mlp.up_proj.weight.T
    expected = (gate / (1 + torch.exp(-gate)) * up) @ mlp.down_proj.weight.T
    assert torch.allclose(mlp(x), expected, rtol=0, atol=EXACT)
    assert all(name.endswith("weight") for name, _ in mlp.named_parameters())
