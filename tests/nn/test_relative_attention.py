"""Attention with decomposed relative positions against its formula, one feature after the other."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.strategies import grids, normal, seeds
from tests.tolerances import BFLOAT16, EXACT
from vlkit.nn.relative_attention import RelativeAttention, offsets, places
from vlkit.notation import Grid


def build(seed: int, side: int) -> RelativeAttention:
    attention = RelativeAttention(6, heads=2, side=side).double()
    with torch.no_grad():
        for number, parameter in enumerate(attention.parameters()):
            parameter.copy_(normal(seed + number, *parameter.shape))
    return attention


def naive(attention: RelativeAttention, x_YXW: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """One tile; `height` and `width` are the tables for its grid."""
    rows, cols = x_YXW.shape[:2]
    cells = [(y, x) for y in range(rows) for x in range(cols)]
    q, k, v = attention.qkv(x_YXW).unflatten(-1, (3, 2, 3)).unbind(2)
    out = torch.empty_like(x_YXW)
    for y, x in cells:
        heads = []
        for head in range(2):
            query = q[y, x, head]
            logits = [
                query @ k[b, a, head] / 3**0.5 + query @ height[y - b + rows - 1] + query @ width[x - a + cols - 1]
                for b, a in cells
            ]
            weights = torch.stack(logits).softmax(dim=0)
            heads.append(weights @ torch.stack([v[b, a, head] for b, a in cells]))
        out[y, x] = attention.proj(torch.cat(heads))
    return out


@given(st.integers(1, 3), seeds)
def test_logits_are_products_and_two_relative_terms(side: int, seed: int) -> None:
    attention, x_NYXW = build(seed, side), normal(seed, 2, side, side, 6)
    expected = torch.stack([naive(attention, x, attention.rel_pos_h, attention.rel_pos_w) for x in x_NYXW])
    assert torch.allclose(attention(x_NYXW), expected, rtol=0, atol=EXACT)


@given(grids(3), st.integers(1, 4), seeds)
def test_other_grids_have_their_tables_resized_side_by_side(grid: Grid, side: int, seed: int) -> None:
    attention, x_NYXW = build(seed, side), normal(seed, 1, *grid, 6)
    height = resized(attention.rel_pos_h, 2 * grid.rows - 1)
    width = resized(attention.rel_pos_w, 2 * grid.cols - 1)
    expected = naive(attention, x_NYXW[0], height, width)
    assert torch.allclose(attention(x_NYXW)[0], expected, rtol=0, atol=EXACT)


def resized(table: Tensor, steps: int) -> Tensor:
    """Linear interpolation between the centres of equal steps, constant beyond the outer ones."""
    rows = []
    for step in range(steps):
        place = min(max((step + 0.5) * len(table) / steps - 0.5, 0), len(table) - 1)
        below, part = int(place), place - int(place)
        rows.append((1 - part) * table[below] + part * table[min(below + 1, len(table) - 1)])
    return torch.stack(rows)


def test_offsets_are_those_from_key_to_query() -> None:
    table = torch.arange(5.0)[:, None]
    assert offsets(table, 3)[..., 0].tolist() == [[2, 1, 0], [3, 2, 1], [4, 3, 2]]


def test_places_name_row_and_column() -> None:
    assert places(2, 3, like=torch.empty(0))[1, 2].tolist() == [0, 1, 0, 0, 1]


@pytest.mark.parametrize("side", [4, 5])
def test_bfloat16_is_near(side: int) -> None:
    attention, x_NYXW = build(0, 4), normal(0, 1, side, side, 6)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.mul_(0.3)
    expected = attention(x_NYXW)
    found = attention.bfloat16()(x_NYXW.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), expected, rtol=BFLOAT16, atol=BFLOAT16)
