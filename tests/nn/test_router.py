"""Routing against the rules written out token by token."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.strategies import normal, seeds
from tests.tolerances import EXACT
from vlkit.errors import ConfigError
from vlkit.nn.router import Router, RouterConfig

DIM, METHODS = 5, ("greedy", "group_limited_greedy", "noaux_tc")


@st.composite
def routers(draw: st.DrawFn, method: str) -> Router:
    """Routers of one method with random weights, in float64."""
    groups, size = draw(st.integers(2, 4)), draw(st.integers(1, 4))
    kept = draw(st.integers(1, groups))
    most = groups * size if method == "greedy" else kept * size
    config = RouterConfig.model_validate(
        {
            "n_routed_experts": groups * size,
            "num_experts_per_tok": draw(st.integers(1, most)),
            "scoring_func": draw(st.sampled_from(["softmax", "sigmoid"])),
            "topk_method": method,
            "n_group": groups,
            "topk_group": kept,
            "norm_topk_prob": draw(st.booleans()),
            "routed_scaling_factor": draw(st.sampled_from([1.0, 2.5])),
        }
    )
    router, seed = Router(config, dim=DIM).double(), draw(seeds)
    with torch.no_grad():
        router.weight.copy_(normal(seed, groups * size, DIM))
        if method == "noaux_tc":
            router.e_score_correction_bias.copy_(normal(seed + 1, groups * size))
    return router


def naive(router: Router, x_D: Tensor) -> dict[int, float]:
    """Chosen experts and their weights for one token."""
    config = router.config
    logits = router.weight @ x_D
    scores = (
        logits.exp() / logits.exp().sum() if config.scoring_func == "softmax" else 1 / (1 + (-logits).exp())
    ).tolist()
    preference, allowed = scores, list(range(len(scores)))
    if config.topk_method == "noaux_tc":
        preference = [s + b for s, b in zip(scores, router.e_score_correction_bias.tolist(), strict=True)]
    if config.topk_method != "greedy":
        size = len(scores) // config.n_group
        groups = [list(range(g * size, (g + 1) * size)) for g in range(config.n_group)]
        best = 2 if config.topk_method == "noaux_tc" else 1
        groups.sort(key=lambda group: -sum(sorted((preference[e] for e in group), reverse=True)[:best]))
        allowed = [expert for group in groups[: config.topk_group] for expert in group]
    chosen = sorted(allowed, key=lambda expert: -preference[expert])[: config.num_experts_per_tok]
    total = sum(scores[e] for e in chosen) + 1e-20 if config.norm_topk_prob and len(chosen) > 1 else 1.0
    return {expert: scores[expert] / total * config.routed_scaling_factor for expert in chosen}


@pytest.mark.parametrize("method", METHODS)
@given(st.data(), st.sampled_from([0, 1, 12]), seeds)
def test_choice_and_weights_follow_the_rule(method: str, data: st.DataObject, tokens: int, seed: int) -> None:
    router, x_MD = data.draw(routers(method)), normal(seed, tokens, DIM)
    routing = router(x_MD)
    assert routing.ids_MA.shape == routing.weights_MA.shape == (tokens, router.config.num_experts_per_tok)
    for token in range(tokens):
        found = dict(zip(routing.ids_MA[token].tolist(), routing.weights_MA[token].tolist(), strict=True))
        assert found == pytest.approx(naive(router, x_MD[token]), rel=0, abs=EXACT)


@pytest.mark.parametrize("method", METHODS[1:])
@given(st.data(), st.sampled_from([-10.0, 0.0, 10.0]), seeds)
def test_experts_of_dropped_groups_are_never_chosen_even_if_all_preferences_are_negative(
    method: str, data: st.DataObject, bias: float, seed: int
) -> None:
    router = data.draw(routers(method))
    config = router.config
    if method == "noaux_tc":
        with torch.no_grad():
            router.e_score_correction_bias.fill_(bias)
    groups = router(normal(seed, 20, DIM)).ids_MA // (config.n_routed_experts // config.n_group)
    assert all(len(set(row)) <= config.topk_group for row in groups.tolist())


@given(routers("noaux_tc"), seeds)
def test_the_bias_changes_the_choice_but_no_weight_of_a_chosen_expert(router: Router, seed: int) -> None:
    x_MD = normal(seed, 6, DIM)
    config = router.config.replace(norm_topk_prob=False, routed_scaling_factor=1.0)
    plain = Router(config, dim=DIM).double()
    plain.load_state_dict(router.state_dict())
    routing = plain(x_MD)
    assert torch.equal(routing.weights_MA, routing.scores_ME.gather(1, routing.ids_MA))


@pytest.mark.parametrize("method", METHODS)
@given(st.data(), seeds)
def test_gradient_flows_through_the_weights_alone(method: str, data: st.DataObject, seed: int) -> None:
    router, x_MD = data.draw(routers(method)), normal(seed, 4, DIM).requires_grad_()
    routing = router(x_MD)
    assert not routing.ids_MA.is_floating_point()
    (routing.weights_MA.square().sum() + routing.scores_ME[:, 0].sum()).backward()
    assert router.weight.grad is not None and router.weight.grad.isfinite().all()
    if router.config.topk_method == "noaux_tc":
        assert router.e_score_correction_bias.grad is None


@pytest.mark.parametrize("method", ["greedy", "noaux_tc"])
def test_scores_are_float32_in_a_bfloat16_model(method: str) -> None:
    config = RouterConfig.model_validate({"n_routed_experts": 8, "num_experts_per_tok": 2, "topk_method": method})
    router, x_MD = Router(config, dim=64).to(torch.bfloat16), torch.randn(5, 64).to(torch.bfloat16)
    routing = router(x_MD)
    assert (routing.scores_ME.dtype, routing.weights_MA.dtype) == (torch.float32, torch.float32)
    expected = (x_MD.float() @ router.weight.float().T).softmax(dim=-1)
    assert torch.allclose(routing.scores_ME, expected, rtol=0, atol=1e-6)


def test_one_expert_is_never_normalised() -> None:
    config = RouterConfig(n_routed_experts=4, num_experts_per_tok=1, norm_topk_prob=True)
    assert (Router(config, dim=DIM)(torch.randn(6, DIM)).weights_MA < 1).all()


@pytest.mark.parametrize(("fields", "rule"), [
    ({"n_routed_experts": 4, "num_experts_per_tok": 5}, "at most all experts"),
    ({"topk_method": "noaux_tc", "n_group": 5}, "groups divide the experts"),
    ({"topk_method": "noaux_tc", "n_group": 2, "topk_group": 3}, "groups divide the experts"),
    ({"topk_method": "group_limited_greedy", "n_group": 16, "topk_group": 1}, "hold enough experts"),
    ({"topk_method": "gready"}, "topk_method"),
])  # fmt: skip
def test_settings_that_cannot_route_are_refused(fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        RouterConfig(**fields)


def test_autocast_leaves_the_scores_in_float32() -> None:
    torch.manual_seed(0)
    router, x_MD = Router(RouterConfig(n_routed_experts=8, num_experts_per_tok=2), dim=DIM), torch.randn(6, DIM)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores_ME = router(x_MD).scores_ME
    assert torch.equal(scores_ME, router(x_MD).scores_ME)
