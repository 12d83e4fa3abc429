"""Attention of queries to a context against its formula."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.strategies import normal, seeds
from tests.tolerances import EXACT
from vlkit.nn.cross_attention import CrossAttention


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@given(st.integers(1, 4), st.integers(0, 5), seeds)
def test_each_query_head_reads_context_and_queries_by_its_group_s_keys(
    kv_heads: int, queries: int, features: int, seed: int
) -> None:
    attention = CrossAttention(6, heads=4, kv_heads=kv_heads, head_width=3, bias=True).double()
    x_NTD, context_NPD = normal(seed, 2, queries, 6), normal(seed + 1, 2, features, 6)
    seen_NSD = torch.cat([context_NPD, x_NTD], dim=1)
    heads = []
    for head in range(4):
        group = head // (4 // kv_heads)
        q = attention.q_proj(x_NTD)[..., 3 * head : 3 * head + 3]
        k, v = (layer(seen_NSD)[..., 3 * group : 3 * group + 3] for layer in (attention.k_proj, attention.v_proj))
        heads.append((q @ k.mT / 3**0.5).softmax(dim=-1) @ v)
    expected = attention.o_proj(torch.cat(heads, dim=-1))
    assert torch.allclose(attention(x_NTD, context_NPD), expected, rtol=0, atol=EXACT)


def test_bias_says_whether_the_layers_have_biases() -> None:
    for bias in (False, True):
        attention = CrossAttention(6, heads=2, kv_heads=1, head_width=3, bias=bias)
        linears = [layer for layer in attention.modules() if isinstance(layer, nn.Linear)]
        assert [layer.bias is not None for layer in linears] == [bias] * 4
