"""Laws of attention without a mask."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from vlkit.nn.full_attention import BLOCK, attend_all


@given(positions=st.integers(1, 3 * BLOCK), half=st.booleans(), seed=st.integers(0, 2**16))
def test_equals_plain_attention(positions: int, half: bool, seed: int) -> None:
    torch.manual_seed(seed)
    dtype = torch.bfloat16 if half else torch.float64
    q, k, v = torch.randn(3, 2, 2, positions, 8).to(dtype)
    exact = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    found = attend_all(q, k, v)
    assert found.shape == q.shape and found.dtype == dtype
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=3e-2 if half else 1e-12)


@pytest.mark.parametrize("positions", [BLOCK - 3, BLOCK])
def test_gradients_flow_to_queries_keys_and_values(positions: int) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(1, 2, positions, 8).bfloat16().requires_grad_() for _ in range(3)]
    attend_all(*inputs).float().square().sum().backward()
    assert all(x.grad is not None and x.grad.isfinite().all() and x.grad.abs().sum() > 0 for x in inputs)
