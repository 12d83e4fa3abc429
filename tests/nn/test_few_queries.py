"""Attention in float32 of few queries in half precision, block by block."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.description.live_bytes import LiveBytes
from tests.strategies import normal, seeds
from vlkit.nn.attention import attend
from vlkit.nn.few_queries import MOST, attend_widened, widens_keys


@given(
    batch=st.integers(1, 2),
    heads=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    new=st.integers(1, 3),
    seen=st.integers(1, 20),
    block=st.sampled_from([1, 40, 2**20]),
    masked=st.booleans(),
    seed=seeds,
)
def test_equals_the_fused_attention(
    batch: int, heads: tuple[int, int], new: int, seen: int, block: int, masked: bool, seed: int
) -> None:
    groups, per_group = heads
    q_BHTK = normal(seed, batch, groups * per_group, new, 6).bfloat16()
    k_BGSK, v_BGSV = (normal(seed + n, batch, groups, seen, width).bfloat16() for n, width in ((1, 6), (2, 4)))
    mask_BTS = normal(seed + 3, batch, new, seen) > 0
    mask_BTS[..., 0] = True
    with patch("vlkit.nn.few_queries.BLOCK", block):
        found = attend_widened(q_BHTK, k_BGSK, v_BGSV, mask_BTS=mask_BTS if masked else None, scale=0.3)
    exact = F.scaled_dot_product_attention(
        q_BHTK.double(),
        k_BGSK.double(),
        v_BGSV.double(),
        attn_mask=mask_BTS[:, None] if masked else None,
        scale=0.3,
        enable_gqa=True,
    )
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), exact, rtol=2**-7, atol=1e-4)


@pytest.mark.usefixtures("no_half_products")
@pytest.mark.parametrize(("new", "seen"), [(1, 1), (1, 30), (MOST, 30), (MOST, MOST), (MOST + 1, 30)])
def test_a_decoding_step_attends_as_with_products_in_half_precision(new: int, seen: int) -> None:
    q_BHTK = normal(0, 2, 3, new, 6).bfloat16()
    k_BGSK, v_BGSV = (normal(number, 2, 3, seen, 6).bfloat16() for number in (1, 2))
    with torch.no_grad():
        assert widens_keys(q_BHTK, k_BGSK) == (new <= MOST)
        found = attend(q_BHTK, k_BGSK, v_BGSV, mask_BTS=None, scale=0.4)
        with patch("vlkit.nn.linear.LACKS_HALF", False):
            plain = attend(q_BHTK, k_BGSK, v_BGSV, mask_BTS=None, scale=0.4)
    torch.testing.assert_close(found, plain, rtol=2**-6, atol=1e-2)


def test_keys_and_values_are_never_widened_whole() -> None:
    q_BHTK, k_BGSK = normal(0, 1, 2, 1, 64).bfloat16(), normal(1, 1, 2, 2048, 64).bfloat16()
    with patch("vlkit.nn.few_queries.BLOCK", 2**12), LiveBytes() as live:
        attend_widened(q_BHTK, k_BGSK, k_BGSK, mask_BTS=None, scale=0.1)
    assert live.peak < k_BGSK.nbytes / 4


@pytest.mark.usefixtures("no_half_products")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wider_types_and_gradients_take_the_fused_attention(dtype: torch.dtype) -> None:
    q_BHTK = normal(0, 1, 2, 1, 4)
    assert not widens_keys(q_BHTK.to(dtype), q_BHTK.to(dtype))
    half = q_BHTK.bfloat16()
    assert widens_keys(half, half) and not widens_keys(half.requires_grad_(), half)
