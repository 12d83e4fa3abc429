"""Experts: every way of computing them is the same function."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.strategies import normal, seeds
from tests.tolerances import EXACT
from vlkit.errors import ConfigError
from vlkit.nn.moe import Experts, MoE, MoEConfig
from vlkit.nn.router import Routing

DIM, HIDDEN = 4, 3


@st.composite
def routings(draw: st.DrawFn, experts: int) -> Routing:
    """Any choice of distinct experts per token; often some experts have no token at all."""
    tokens = draw(st.integers(0, 7))
    pool = draw(st.lists(st.integers(0, experts - 1), min_size=1, unique=True))
    active = draw(st.integers(1, len(pool)))
    rows = [draw(st.permutations(pool))[:active] for _ in range(tokens)]
    ids_MA = torch.tensor(rows, dtype=torch.long).view(tokens, active)
    return Routing(ids_MA, normal(draw(seeds), tokens, active), torch.zeros(tokens, experts, dtype=torch.float64))


def naive(experts: Experts, x_MD: Tensor, routing: Routing) -> Tensor:
    """Token by token, choice by choice."""
    out = []
    for x_D, ids, weights in zip(x_MD, routing.ids_MA.tolist(), routing.weights_MA, strict=True):
        total = torch.zeros_like(x_D)
        for expert, weight in zip(ids, weights, strict=True):
            gate, up = (experts.gate_up_proj[expert] @ x_D).split(HIDDEN)
            total = total + weight * (experts.down_proj[expert] @ (gate * torch.sigmoid(gate) * up))
        out.append(total)
    return torch.stack(out) if out else torch.zeros(0, DIM, dtype=torch.float64)


@given(st.integers(1, 5).flatmap(lambda experts: st.tuples(st.just(experts), routings(experts))), seeds)
def test_grouped_loop_and_token_by_token_agree_in_values_and_gradients(case: tuple[int, Routing], seed: int) -> None:
    number, routing = case
    found: dict[str, list[Tensor]] = {}
    for way in ("grouped", "loop", "naive"):
        experts = Experts(number, DIM, HIDDEN, compute="loop" if way == "naive" else way).double()  # type: ignore[arg-type]
        with torch.no_grad():
            experts.gate_up_proj.copy_(normal(seed, number, 2 * HIDDEN, DIM))
            experts.down_proj.copy_(normal(seed + 1, number, DIM, HIDDEN))
        x_MD = normal(seed + 2, len(routing.ids_MA), DIM).requires_grad_()
        own = Routing(routing.ids_MA, routing.weights_MA.clone().requires_grad_(), routing.scores_ME)
        y_MD = naive(experts, x_MD, own) if way == "naive" else experts(x_MD, own)
        leaves = [x_MD, own.weights_MA, experts.gate_up_proj, experts.down_proj]
        loss = (y_MD * torch.arange(DIM)).sum() + sum(leaf.sum() * 0 for leaf in leaves)
        found[way] = [y_MD, *torch.autograd.grad(loss, leaves)]
    for way in ("grouped", "loop"):
        for expected, value in zip(found["naive"], found[way], strict=True):
            assert torch.allclose(value, expected, rtol=0, atol=EXACT)


@given(st.integers(1, 5).flatmap(lambda experts: st.tuples(st.just(experts), routings(experts))), seeds)
def test_one_kernel_for_all_experts_agrees_with_one_for_each(case: tuple[int, Routing], seed: int) -> None:
    number, routing = case
    weights_MA, found = routing.weights_MA.float(), []
    for way in ("grouped", "fused"):
        experts = Experts(number, 8, 12, compute=way)
        with torch.no_grad():
            experts.gate_up_proj.copy_(normal(seed, number, 24, 8))
            experts.down_proj.copy_(normal(seed + 1, number, 8, 12))
        x_MD = normal(seed + 2, len(routing.ids_MA), 8, dtype=torch.float32).requires_grad_()
        own = Routing(routing.ids_MA, weights_MA.clone().requires_grad_(), routing.scores_ME)
        y_MD = experts(x_MD, own)
        leaves = [x_MD, own.weights_MA, experts.gate_up_proj, experts.down_proj]
        loss = (y_MD * torch.arange(8)).sum() + sum(leaf.sum() * 0 for leaf in leaves)
        found.append([y_MD, *torch.autograd.grad(loss, leaves)])
    for expected, value in zip(*found, strict=True):
        assert torch.allclose(value, expected, rtol=1e-4, atol=1e-3)


@given(st.integers(1, 5).flatmap(lambda experts: st.tuples(st.just(experts), routings(experts))), seeds)
def test_gathered_weights_agree_with_one_product_for_each_expert(case: tuple[int, Routing], seed: int) -> None:
    number, routing = case
    experts = Experts(number, DIM, HIDDEN, compute="grouped").double()
    x_MD = normal(seed, len(routing.ids_MA), DIM)
    assert torch.allclose(experts.run_gathered(x_MD, routing), experts(x_MD, routing), rtol=0, atol=EXACT)


@pytest.mark.parametrize(("dim", "dtype"), [(6, torch.float32), (8, torch.float64)])
def test_numbers_that_the_kernel_does_not_take_are_refused_or_computed_otherwise(dim: int, dtype: torch.dtype) -> None:
    routing = Routing(torch.zeros(2, 1, dtype=torch.long), torch.ones(2, 1), torch.ones(2, 1))
    with pytest.raises(ConfigError, match=r"16 bytes[\s\S]*'auto'"):
        Experts(1, dim, 8, compute="fused").to(dtype)(torch.ones(2, dim, dtype=dtype), routing)
    assert Experts(1, dim, 8).to(dtype)(torch.ones(2, dim, dtype=dtype), routing).shape == (2, dim)


@given(seeds, st.integers(1, 3))
def test_layer_is_routed_plus_shared_experts_without_weight(seed: int, shared: int) -> None:
    config = MoEConfig(n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=HIDDEN, n_shared_experts=shared)
    layer, x_BTD = MoE(config, dim=DIM).double(), normal(seed, 2, 3, DIM)
    out, routing = layer(x_BTD)
    assert layer.shared_experts is not None
    assert layer.shared_experts.gate_proj.out_features == shared * HIDDEN
    expected = naive(layer.experts, x_BTD.flatten(0, 1), routing).view(2, 3, DIM) + layer.shared_experts(x_BTD)
    assert torch.allclose(out, expected, rtol=0, atol=EXACT)
    assert MoE(config.replace(n_shared_experts=None), dim=DIM).shared_experts is None


@pytest.mark.parametrize("compute", ["grouped", "loop"])
@pytest.mark.parametrize("training", [True, False])
def test_gradients_reach_every_parameter_in_both_modes(compute: str, training: bool) -> None:
    config = MoEConfig.model_validate(
        {"n_routed_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": HIDDEN, "compute": compute}
    )
    layer = MoE(config, dim=DIM).train(training)
    x_BTD = torch.randn(2, 9, DIM, requires_grad=True)
    layer(x_BTD)[0].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in layer.parameters())
    assert x_BTD.grad is not None and x_BTD.grad.any()


@pytest.mark.parametrize("compute", ["grouped", "loop"])
def test_bfloat16_experts_are_weighted_and_summed_in_float32(compute: str) -> None:
    config = MoEConfig.model_validate(
        {"n_routed_experts": 4, "num_experts_per_tok": 4, "moe_intermediate_size": 8, "compute": compute}
    )
    layer, x_BTD = MoE(config, dim=16).to(torch.bfloat16), torch.randn(1, 8, 16).to(torch.bfloat16)
    with torch.no_grad():
        out, routing = layer(x_BTD)
        terms = torch.stack([layer.experts.run_expert(expert, x_BTD[0]) for expert in range(4)], dim=1)
    weights = torch.zeros(8, 4).scatter(1, routing.ids_MA, routing.weights_MA)
    exact = (terms.double() * weights.double()[..., None]).sum(dim=1)
    assert out.dtype == torch.bfloat16
    half_a_unit = exact.abs() * 2**-8 + 1e-6
    assert ((out[0].double() - exact).abs() <= half_a_unit).all()


@given(st.integers(0, 4), st.integers(1, 4), st.integers(0, 12))
def test_layers_with_experts_are_multiples_of_the_frequency_after_the_dense_ones(
    dense: int, frequency: int, index: int
) -> None:
    config = MoEConfig(first_k_dense_replace=dense, moe_layer_freq=frequency)
    assert config.is_moe_layer(index) == (index in [i for i in range(0, 13, frequency) if i >= dense])
