"""Balance losses against loops, and the bias rule that balances without a loss."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.strategies import left_padded, normal, seeds
from tests.tolerances import EXACT
from vlkit.nn.balance import (
    batch_balance_loss,
    expert_load,
    packed_balance_loss,
    sequence_balance_loss,
    update_correction_bias,
)
from vlkit.nn.router import Router, RouterConfig, Routing

EXPERTS, ACTIVE = 5, 2


def routing(seed: int, tokens: int) -> Routing:
    """Softmax scores and their best experts."""
    scores_ME = normal(seed, tokens, EXPERTS).softmax(dim=-1)
    top = scores_ME.topk(ACTIVE)
    return Routing(top.indices, top.values, scores_ME)


def naive(routed: Routing, rows: list[list[int]]) -> float:
    """Mean over sequences, each given by its tokens: sum over experts of load share times E times mean score."""
    losses = []
    for tokens in rows:
        loss = 0.0
        for expert in range(EXPERTS):
            chosen = sum(routed.ids_MA[token].tolist().count(expert) for token in tokens)
            mean_score = sum(float(routed.scores_ME[token, expert]) for token in tokens) / len(tokens)
            loss += chosen * EXPERTS / (ACTIVE * len(tokens)) * mean_score
        losses.append(loss)
    return sum(losses) / len(losses)


masks = st.tuples(st.integers(1, 3), st.integers(1, 5)).flatmap(lambda shape: left_padded(*shape))


@given(masks, seeds)
def test_losses_are_the_ones_of_loops_over_the_tokens_that_are_no_padding(mask_BT: Tensor, seed: int) -> None:
    routed, length = routing(seed, mask_BT.numel()), mask_BT.shape[1]
    rows = [[b * length + t for t in range(length) if mask_BT[b, t]] for b in range(len(mask_BT))]
    assert sequence_balance_loss(routed, mask_BT).item() == pytest.approx(naive(routed, rows), abs=EXACT)
    together = [[token for row in rows for token in row]]
    assert batch_balance_loss(routed, mask_BT).item() == pytest.approx(naive(routed, together), abs=EXACT)


@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), min_size=1, max_size=3), seeds)
def test_sequences_that_share_a_row_are_balanced_each_for_itself(rows: list[list[int]], seed: int) -> None:
    numbered = [[number for number, length in enumerate(row, start=1) for _ in range(length)] for row in rows]
    width = max(map(len, numbered)) + 1
    sequence_ids = torch.tensor([row + [0] * (width - len(row)) for row in numbered])
    routed = routing(seed, sequence_ids.numel())
    sequences = [
        [b * width + t for t in range(width) if sequence_ids[b, t] == number]
        for b, row in enumerate(rows)
        for number in range(1, len(row) + 1)
    ]
    assert packed_balance_loss(routed, sequence_ids).item() == pytest.approx(naive(routed, sequences), abs=EXACT)


@given(masks, seeds)
def test_load_counts_the_choices_of_tokens_that_are_no_padding(mask_BT: Tensor, seed: int) -> None:
    routed, real = routing(seed, mask_BT.numel()), mask_BT.flatten().nonzero().flatten().tolist()
    expected = [sum(routed.ids_MA[token].tolist().count(expert) for token in real) for expert in range(EXPERTS)]
    for mask_M in (mask_BT.flatten(), mask_BT.flatten().long()):
        assert expert_load(routed, mask_M).tolist() == expected
    assert expert_load(routed).sum() == ACTIVE * mask_BT.numel()


@given(masks, seeds)
def test_what_stands_on_padding_changes_no_loss(mask_BT: Tensor, seed: int) -> None:
    routed, other = routing(seed, mask_BT.numel()), routing(seed + 1, mask_BT.numel())
    real_M1 = mask_BT.flatten()[:, None]
    mixed = Routing(
        torch.where(real_M1, routed.ids_MA, other.ids_MA),
        torch.where(real_M1, routed.weights_MA, other.weights_MA),
        torch.where(real_M1, routed.scores_ME, other.scores_ME),
    )
    for loss in (sequence_balance_loss, batch_balance_loss):
        assert loss(routed, mask_BT).item() == pytest.approx(loss(mixed, mask_BT).item(), abs=EXACT)


@given(st.integers(1, 3), st.integers(1, 3))
def test_perfect_balance_costs_one_and_a_collapse_costs_more(batch: int, rounds: int) -> None:
    tokens = rounds * EXPERTS
    ids = torch.arange(batch * tokens)[:, None] + torch.arange(ACTIVE)
    even = Routing(ids % EXPERTS, torch.ones(ids.shape), torch.full((len(ids), EXPERTS), 1 / EXPERTS))
    skewed = torch.tensor([0.6, 0.25, 0.05, 0.05, 0.05]).expand(len(ids), -1)
    collapsed = Routing(torch.arange(ACTIVE).expand(len(ids), -1), torch.ones(ids.shape), skewed)
    mask_BT = torch.ones(batch, tokens, dtype=torch.bool)
    for loss in (sequence_balance_loss, batch_balance_loss):
        assert loss(even, mask_BT).item() == pytest.approx(1.0, abs=1e-6)
        assert loss(collapsed, mask_BT).item() == pytest.approx(EXPERTS / ACTIVE * 0.85, abs=1e-6)


@given(seeds)
def test_descending_the_loss_evens_the_mean_scores(seed: int) -> None:
    logits_ME = normal(seed, 8, EXPERTS).requires_grad_()
    ids = torch.zeros(8, 1, dtype=torch.long)
    scores_ME = logits_ME.softmax(dim=-1)
    batch_balance_loss(Routing(ids, scores_ME[:, :1], scores_ME), torch.ones(2, 4, dtype=torch.bool)).backward()
    assert logits_ME.grad is not None
    assert (logits_ME.grad[:, 0] > 0).all() and (logits_ME.grad[:, 1:] < 0).all()


def skewed_router() -> tuple[Router, Tensor]:
    """A router that likes its first experts best on every token, and tokens."""
    config = RouterConfig(n_routed_experts=8, num_experts_per_tok=2, topk_method="noaux_tc", scoring_func="sigmoid")
    router, x_MD = Router(config, dim=6), normal(0, 400, 6, dtype=torch.float32)
    x_MD[:, 0] = 1.0
    with torch.no_grad():
        router.weight[:, 0] = torch.linspace(1.5, -1.5, 8)
    return router, x_MD


def test_bias_rises_for_idle_experts_falls_for_busy_ones_and_rests_at_the_mean() -> None:
    router, _ = skewed_router()
    load_E = torch.tensor([9.0, 1.0, 5.0, 5.0, 5.0, 5.0, 9.0, 1.0])
    update_correction_bias(router, load_E, speed=0.25)
    assert router.e_score_correction_bias.tolist() == [-0.25, 0.25, 0.0, 0.0, 0.0, 0.0, -0.25, 0.25]


def test_repeated_updates_balance_a_skewed_router() -> None:
    router, x_MD = skewed_router()
    before = expert_load(router(x_MD))
    for _ in range(300):
        update_correction_bias(router, expert_load(router(x_MD)), speed=0.005)
    after = expert_load(router(x_MD))
    assert before.max() / before.mean() > 2
    assert after.max() / after.mean() < 1.1 and after.min() / after.mean() > 0.9
