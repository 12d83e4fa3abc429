"""Laws of the products with few tokens."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from vlkit.nn.linear import FEW, Linear, linear


@given(
    rows=st.sampled_from([(1,), (1, 1), (3,), (2, 2), (1, FEW), (1, FEW + 1)]),
    widths=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    bias=st.booleans(),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.float16]),
    seed=st.integers(0, 2**16),
)
def test_equals_the_plain_product(
    rows: tuple[int, ...], widths: tuple[int, int], bias: bool, dtype: torch.dtype, seed: int
) -> None:
    torch.manual_seed(seed)
    x, weight = torch.randn(*rows, widths[0]).to(dtype), torch.randn(widths[1], widths[0]).to(dtype)
    added = torch.randn(widths[1]).to(dtype) if bias else None
    found = linear(x, weight, added)
    exact = F.linear(x.double(), weight.double(), None if added is None else added.double())
    assert found.shape == exact.shape and found.dtype == dtype and found.is_contiguous()
    scale = F.linear(x.double().abs(), weight.double().abs()) + (0 if added is None else added.double().abs())
    assert ((found.double() - exact).abs() <= 4 * torch.finfo(dtype).eps * scale + 1e-6).all()


@pytest.mark.parametrize("rows", [1, 5])
def test_gradients_equal_those_of_the_plain_product(rows: int) -> None:
    torch.manual_seed(0)
    layer = Linear(6, 4).bfloat16()
    plain = torch.nn.Linear(6, 4)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(rows, 6).bfloat16()
    layer(x).float().square().sum().backward()
    plain(x.float()).square().sum().backward()
    for ours, theirs in zip(layer.parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None and theirs.grad is not None
        torch.testing.assert_close(ours.grad.float(), theirs.grad, rtol=5e-2, atol=5e-2)


def test_one_token_in_half_precision_reads_the_weights_by_the_matrix_vector_product() -> None:
    weight = torch.randn(8, 4)
    with patch("torch.mv", wraps=torch.mv) as product:
        linear(torch.randn(1, 1, 4), weight)
        linear(torch.randn(2, 4).bfloat16(), weight.bfloat16())
        assert not product.called
        linear(torch.randn(1, 1, 4).bfloat16(), weight.bfloat16())
        assert product.call_count == 1


def test_autocast_chooses_the_type_as_for_any_linear_layer() -> None:
    layer = Linear(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.randn(1, 4)).dtype == layer(torch.randn(1, 4).bfloat16()).dtype == torch.bfloat16
