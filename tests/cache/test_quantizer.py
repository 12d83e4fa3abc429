"""What is read back is as near as the docstring says, and takes the bytes that are told."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import normal, seeds
from vlkit.cache.quantizer import CodeType, Quantizer
from vlkit.errors import ConfigError

code_types = st.sampled_from(["int8", "int4", "fp8"])
dtypes = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16])


@given(
    code_types,
    dtypes,
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(0, 3),
    st.sampled_from([0.05, 1, 300]),
    seeds,
)
def test_what_is_read_back_is_within_the_bound(
    code: CodeType, dtype: torch.dtype, width: int, group_size: int, exact: int, size: float, seed: int
) -> None:
    quantizer = Quantizer(code, group_size=group_size, exact_channels=exact)
    x = (normal(seed, 2, 3, 4, width + exact) * size * torch.tensor([1.0, 0.01, 30.0])[:, None, None]).to(dtype)
    kept = quantizer.encode(x)
    (read,) = quantizer.decode(kept, [width + exact])
    assert (read.shape, read.dtype) == (x.shape, dtype)
    assert torch.equal(read[..., width:], x[..., width:])
    scale = kept[1].double().repeat_interleave(group_size, dim=-1)[..., :width]
    was, found = x[..., :width].double(), read[..., :width].double()
    bound = torch.maximum(was.abs() / 16, scale / 1024) if code == "fp8" else scale / 2
    rounding = torch.finfo(dtype).eps * found.abs() + 1e-12 * size
    assert ((was - found).abs() <= bound + rounding)[scale >= torch.finfo(dtype).tiny].all()


@given(code_types, dtypes, st.integers(1, 40), st.integers(1, 12), st.integers(0, 3))
def test_a_vector_takes_the_bytes_that_are_told(
    code: CodeType, dtype: torch.dtype, width: int, group_size: int, exact: int
) -> None:
    quantizer = Quantizer(code, group_size=group_size, exact_channels=exact)
    kept = quantizer.encode(torch.randn(1, 1, width + exact).to(dtype))
    assert sum(part.nbytes for part in kept) == quantizer.vector_bytes(width + exact, dtype.itemsize)


@pytest.mark.parametrize(("code", "expected"), [("int8", 576 + 9 * 2), ("int4", 288 + 9 * 2), ("fp8", 576 + 9 * 2)])
def test_bytes_of_a_latent_of_deepseek_vl2(code: CodeType, expected: int) -> None:
    assert Quantizer(code, group_size=64).vector_bytes(576, 2) == expected
    exact_key = Quantizer(code, group_size=64, exact_channels=64).vector_bytes(576, 2)
    assert exact_key == expected - {"int4": 32}.get(code, 64) - 2 + 128


@given(code_types, dtypes)
def test_zeros_stay_zeros_and_the_largest_number_of_a_group_stays(code: CodeType, dtype: torch.dtype) -> None:
    quantizer = Quantizer(code, group_size=4)
    x = torch.tensor([0, 0, 0, 0, 1, -8, 2, 0, 0.5, 0.25], dtype=dtype)[None, None]
    (read,) = quantizer.decode(quantizer.encode(x), [10])
    assert torch.equal(read[..., :4], x[..., :4])
    assert read[0, 0, 5].item() == pytest.approx(-8, rel=torch.finfo(dtype).eps)


@given(code_types, st.integers(1, 9), st.integers(1, 5), seeds)
def test_positions_and_groups_do_not_know_each_other(code: CodeType, width: int, group_size: int, seed: int) -> None:
    quantizer, x = Quantizer(code, group_size=group_size), normal(seed, 2, 3, width)
    (read,) = quantizer.decode(quantizer.encode(x), [width])
    for position in range(3):
        alone = quantizer.decode(quantizer.encode(x[:, position : position + 1]), [width])[0]
        assert torch.equal(alone[:, 0], read[:, position])
    first = min(group_size, width)
    changed = torch.cat([x[..., :first], 100 * x[..., first:]], dim=-1)
    assert torch.equal(quantizer.decode(quantizer.encode(changed), [width])[0][..., :first], read[..., :first])


def test_several_tensors_are_read_back_together() -> None:
    quantizer = Quantizer("int4", group_size=3, exact_channels=1)
    tensors = [torch.randn(2, 3, 4, width) for width in (5, 8)]
    kept = [part for tensor in tensors for part in quantizer.encode(tensor)]
    alone = [quantizer.decode(quantizer.encode(t), [t.shape[-1]])[0] for t in tensors]
    assert all(torch.equal(a, b) for a, b in zip(quantizer.decode(kept, [5, 8]), alone, strict=True))
    assert math.prod(kept[0].shape) == 2 * 3 * 4 * 2


def test_vectors_without_a_rounded_channel_are_refused() -> None:
    with pytest.raises(ConfigError, match="exact_channels 6 of vectors of width 6"):
        Quantizer("int8", group_size=4, exact_channels=6).encode(torch.zeros(1, 1, 6))
