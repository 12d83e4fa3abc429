"""Attention pooling against its formula, and that it pools a set."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.strategies import normal, seeds
from tests.tolerances import EXACT
from vlkit.nn.attention_pool import AttentionPool


def build(seed: int) -> AttentionPool:
    pool = AttentionPool(6, heads=2, mlp_width=5).double()
    with torch.no_grad():
        for number, parameter in enumerate(pool.parameters()):
            parameter.copy_(normal(seed + number, *parameter.shape))
    return pool


def naive(pool: AttentionPool, x_PW: Tensor) -> Tensor:
    """One tile, one head after the other."""
    query, (keys, values) = pool.q(pool.latent[0, 0]), pool.kv(x_PW).chunk(2, dim=-1)
    heads = []
    for head in range(2):
        part = slice(3 * head, 3 * head + 3)
        weights = (keys[:, part] @ query[part] / 3**0.5).softmax(dim=0)
        heads.append(weights @ values[:, part])
    pooled = pool.proj(torch.cat(heads))
    return pooled + pool.mlp(pool.norm(pooled))


@given(st.integers(1, 7), st.integers(1, 3), seeds)
def test_one_learned_query_attends_to_all_features(features: int, tiles: int, seed: int) -> None:
    pool, x_NPW = build(seed), normal(seed, tiles, features, 6)
    expected = torch.stack([naive(pool, x_PW) for x_PW in x_NPW])
    assert torch.allclose(pool(x_NPW), expected, rtol=0, atol=EXACT)


@given(st.permutations(range(5)), seeds)
def test_the_order_of_features_does_not_matter(order: list[int], seed: int) -> None:
    pool, x_NPW = build(seed), normal(seed, 2, 5, 6)
    assert torch.allclose(pool(x_NPW), pool(x_NPW[:, order]), rtol=0, atol=EXACT)
