"""The projection of patches is a convolution whose stride is its kernel."""

import torch
from einops import rearrange
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import normal, seeds
from tests.tolerances import EXACT
from vlkit.nn.patches import PatchConv


@given(
    patch=st.integers(1, 5),
    sides=st.tuples(st.integers(5, 13), st.integers(5, 13)),
    bias=st.booleans(),
    tiles=st.integers(0, 3),
    seed=seeds,
)
def test_equals_the_convolution(patch: int, sides: tuple[int, int], bias: bool, tiles: int, seed: int) -> None:
    """Also where sides are no multiples of the patch, and without tiles."""
    conv, pixels = PatchConv(patch, 7, bias=bias).double(), normal(seed, tiles, 3, *sides)
    found = conv(pixels)
    expected = rearrange(torch.nn.functional.conv2d(pixels, conv.weight, conv.bias, patch), "n w y x -> n y x w")
    assert found.shape == (tiles, sides[0] // patch, sides[1] // patch, 7)
    torch.testing.assert_close(found, expected, rtol=EXACT, atol=EXACT)


def test_parameters_are_those_of_the_convolution() -> None:
    plain = torch.nn.Conv2d(3, 8, kernel_size=4, stride=4)
    conv = PatchConv(4, 8)
    conv.load_state_dict(plain.state_dict())
    assert {name: each.shape for name, each in conv.named_parameters()} == {"weight": (8, 3, 4, 4), "bias": (8,)}
