"""Root-mean-square norm against its formula."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import normal, seeds
from tests.tolerances import EXACT
from vlkit.nn.norm import RMSNorm


@given(st.integers(1, 9), st.sampled_from([1e-6, 1e-5, 0.1]), seeds)
def test_norm_divides_by_the_root_of_the_mean_square(dim: int, eps: float, seed: int) -> None:
    norm, x = RMSNorm(dim, eps=eps).double(), normal(seed, 2, 3, dim)
    with torch.no_grad():
        norm.weight.copy_(normal(seed + 1, dim))
    expected = norm.weight * x / (x.pow(2).mean(dim=-1, keepdim=True) + eps).sqrt()
    assert torch.allclose(norm(x), expected, rtol=0, atol=EXACT)


@given(seeds)
def test_low_precision_is_normalised_in_float32_and_cast_before_the_weight(seed: int) -> None:
    norm, x = RMSNorm(64).to(torch.bfloat16), (100 * normal(seed, 3, 64)).to(torch.bfloat16)
    with torch.no_grad():
        norm.weight.copy_(normal(seed + 1, 64))
    wide = x.float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(dim=-1, keepdim=True) + 1e-6)
    assert norm(x).dtype == torch.bfloat16
    assert torch.equal(norm(x), norm.weight * normed.to(torch.bfloat16))
