"""Laws of the products of weights with tokens, as each kind of CPU computes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.description.live_bytes import LiveBytes
from tests.strategies import normal, seeds
from vlkit.nn.linear import FEW, LANES, NARROW, Linear, linear, multiply, multiply_each

DTYPES = st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.float16])


@contextmanager
def machine(*, lacks_half: bool, block: int = 60) -> Iterator[None]:
    """A CPU that has or has not fast products in half precision, and widens few numbers and ten tokens at a time."""
    with patch.multiple("vlkit.nn.linear", LACKS_HALF=lacks_half, BLOCK=block, ROWS=1, MANY=10):
        yield


def close(found: Tensor, weight: Tensor, x_DM: Tensor, added: Tensor | None = None) -> bool:
    """Whether these are about the products, rounded a few times."""
    added = torch.zeros(1) if added is None else added.double()
    exact = weight.double() @ x_DM.double() + added
    scale = weight.double().abs() @ x_DM.double().abs() + added.abs()
    same = found.shape == exact.shape and found.dtype == weight.dtype
    return same and bool(((found.double() - exact).abs() <= 4 * torch.finfo(found.dtype).eps * scale + 1e-6).all())


@given(
    rows=st.sampled_from(
        [(0,), (0, 3), (1,), (1, 1), (3,), (2, 2), (1, NARROW), (1, NARROW + 1), (1, FEW), (1, FEW + 1)]
    ),
    widths=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    bias=st.booleans(),
    dtype=DTYPES,
    lacks_half=st.booleans(),
    seed=seeds,
)
def test_equals_the_plain_product(
    rows: tuple[int, ...], widths: tuple[int, int], bias: bool, dtype: torch.dtype, lacks_half: bool, seed: int
) -> None:
    x, weight = normal(seed, *rows, widths[0]).to(dtype), normal(seed + 1, widths[1], widths[0]).to(dtype)
    added = normal(seed + 2, widths[1]).to(dtype) if bias else None
    with machine(lacks_half=lacks_half):
        found = linear(x, weight, added)
    assert found.shape == (*rows, widths[1]) and found.is_contiguous()
    assert close(found.flatten(0, -2).t(), weight, x.flatten(0, -2).t(), None if added is None else added[:, None])


@given(heads=st.integers(1, 3), columns=st.sampled_from([1, 2, NARROW, NARROW + 1, 20]), dtype=DTYPES, seed=seeds)
@pytest.mark.parametrize("lacks_half", [True, False])
def test_products_head_by_head_equal_the_plain_ones(
    lacks_half: bool, heads: int, columns: int, dtype: torch.dtype, seed: int
) -> None:
    """Also for weights that do not lie row by row."""
    weights = normal(seed, heads, 5, 7).to(dtype)
    for turned in (weights, weights.mT):
        x_HDM = normal(seed + 1, heads, turned.shape[2], columns).to(dtype)
        with machine(lacks_half=lacks_half):
            found = multiply_each(turned, x_HDM)
        assert all(close(one, weight, x_DM) for one, weight, x_DM in zip(found, turned, x_HDM, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_without_products_in_half_precision_sums_are_float32_and_rounded_once(dtype: torch.dtype) -> None:
    weight, x_DM = normal(0, 30, 40).to(dtype), normal(1, 40, 9).to(dtype)
    with machine(lacks_half=True), torch.no_grad():
        found = multiply(weight, x_DM).double()
    exact = weight.double() @ x_DM.double()
    assert ((found - exact).abs() <= torch.finfo(dtype).eps / 2 * exact.abs() + 1e-5).all()


class Products(TorchDispatchMode):
    """The two factors of each product of matrices while it is active."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.factors: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.mm.default:
            self.factors.append(args)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("tokens", [NARROW + 1, LANES, 2 * LANES, 95, 96])
@pytest.mark.parametrize("turned", [True, False])
def test_products_in_float32_take_whole_vectors_of_tokens_that_lie_one_after_the_other(
    tokens: int, turned: bool
) -> None:
    x_DM = torch.ones(tokens, 4).t() if turned else torch.ones(4, tokens)
    with patch("vlkit.nn.linear.LACKS_HALF", True), torch.no_grad(), Products() as products:
        multiply(torch.ones(3, 4).bfloat16(), x_DM.bfloat16())
    ((_, wide_DM),) = products.factors
    assert wide_DM.shape == (4, -(-tokens // LANES) * LANES) and wide_DM.stride(0) == 1


@pytest.mark.parametrize("tokens", [2, NARROW])
def test_few_tokens_without_products_in_half_precision_lie_one_after_the_other(tokens: int) -> None:
    """Both factors along their rows: PyTorch multiplies others number by number."""
    with patch("vlkit.nn.linear.LACKS_HALF", True), torch.no_grad(), Products() as products:
        multiply(torch.ones(3, 4).bfloat16(), torch.ones(4, tokens).bfloat16())
    ((x_MD, weight_DO),) = products.factors
    assert x_MD.is_contiguous() and weight_DO.t().is_contiguous()


def test_widened_numbers_are_those_of_the_tokens_and_of_one_block() -> None:
    width, tokens, rows = 64, 50, 8
    weight, x = normal(0, 4096, width).bfloat16(), normal(1, tokens, width).bfloat16()
    with machine(lacks_half=True, block=rows * width), torch.no_grad(), LiveBytes() as live:
        out = linear(x, weight)
    assert live.peak <= 2 * out.nbytes + 4 * (tokens * width + rows * (width + tokens))


def test_gradients_do_not_hold_widened_weights() -> None:
    layer, x = Linear(64, 4096).bfloat16(), normal(0, 50, 64).bfloat16()
    with machine(lacks_half=True), LiveBytes() as live:
        out = layer(x)
    assert live.peak < 4 * layer.weight.numel() and out.requires_grad


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
