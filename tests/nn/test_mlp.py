"""Feed-forward layers against their formulas."""

import math
from typing import Literal

import pytest
import torch
from hypothesis import given
from torch import Tensor

from tests.strategies import normal, seeds
from tests.tolerances import EXACT
from vlkit.nn.mlp import MLP, GatedMLP, SwiGLU


def exact_gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def tanh_gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def sigmoid_gelu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-1.702 * x))


GELUS = {"none": exact_gelu, "tanh": tanh_gelu, "sigmoid": sigmoid_gelu}


@pytest.mark.parametrize("approximate", ["none", "tanh", "sigmoid"])
@given(seeds)
def test_mlp_uses_the_gelu_that_it_is_asked_for(approximate: Literal["none", "tanh", "sigmoid"], seed: int) -> None:
    mlp, x = MLP(4, 7, approximate=approximate).double(), normal(seed, 2, 3, 4)
    hidden = x @ mlp.fc1.weight.T + mlp.fc1.bias
    for name, gelu in GELUS.items():
        expected = gelu(hidden) @ mlp.fc2.weight.T + mlp.fc2.bias
        assert torch.allclose(mlp(x), expected, rtol=0, atol=EXACT) == (name == approximate)


@given(seeds)
def test_gated_mlp_is_down_of_silu_gate_times_up(seed: int) -> None:
    mlp, x = GatedMLP(4, 7).double(), normal(seed, 2, 3, 4)
    gate, up = x @ mlp.gate_proj.weight.T, x @ mlp.up_proj.weight.T
    expected = (gate / (1 + torch.exp(-gate)) * up) @ mlp.down_proj.weight.T
    assert torch.allclose(mlp(x), expected, rtol=0, atol=EXACT)
    assert all(name.endswith("weight") for name, _ in mlp.named_parameters())


@given(seeds)
def test_gated_mlp_leads_to_another_width_with_biases(seed: int) -> None:
    mlp, x = GatedMLP(4, 7, out_dim=5, bias=True).double(), normal(seed, 2, 3, 4)
    gate, up = (x @ layer.weight.T + layer.bias for layer in (mlp.gate_proj, mlp.up_proj))
    expected = (gate / (1 + torch.exp(-gate)) * up) @ mlp.down_proj.weight.T + mlp.down_proj.bias
    assert torch.allclose(mlp(x), expected, rtol=0, atol=EXACT)


@given(seeds)
def test_swiglu_packs_the_gate_before_what_it_gates(seed: int) -> None:
    packed, x = SwiGLU(4, 7).double(), normal(seed, 2, 3, 4)
    apart = GatedMLP(4, 7, bias=True).double()
    (gate, up), (gate_bias, up_bias) = packed.w12.weight.chunk(2), packed.w12.bias.chunk(2)
    layers = {"gate_proj": (gate, gate_bias), "up_proj": (up, up_bias), "down_proj": (packed.w3.weight, packed.w3.bias)}
    apart.load_state_dict(
        {f"{name}.{kind}": tensor for name, pair in layers.items() for kind, tensor in zip(("weight", "bias"), pair)}
    )
    assert torch.allclose(packed(x), apart(x), rtol=0, atol=EXACT)
