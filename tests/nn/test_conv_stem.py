"""A stem of convolutions against its formula, what it sees, and what it costs."""

import torch
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from tests.description.live_bytes import LiveBytes
from tests.strategies import grids, normal, seeds
from tests.tolerances import EXACT
from vlkit.nn.conv_stem import ConvStem, patch_side, stem_bytes, stem_flops
from vlkit.notation import Grid, Size

WIDTH = 5
channels = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def build(channels: list[int], seed: int) -> ConvStem:
    stem = ConvStem(channels=channels, width=WIDTH).double()
    with torch.no_grad():
        for number, parameter in enumerate(stem.parameters()):
            parameter.copy_(0.3 * normal(seed + number, *parameter.shape))
    return stem


def convolved(maps_NWYX: Tensor, weight: Tensor, bias: Tensor, *, step: int) -> Tensor:
    """Every `step`-th place times the weights of itself and its neighbours, zeros being those outside."""
    seen = F.unfold(maps_NWYX, 3, padding=1, stride=step)
    out = torch.einsum("wk, nkp -> nwp", weight.flatten(1), seen) + bias[:, None]
    return rearrange(out, "n w (y x) -> n w y x", y=maps_NWYX.shape[2] // step)


def test_every_other_convolution_doubles_the_side_of_a_patch() -> None:
    assert [patch_side([7] * convolutions) for convolutions in range(1, 7)] == [2, 2, 4, 4, 8, 8]


@settings(max_examples=20)
@given(channels, grids(2), seeds)
def test_a_stem_is_convolutions_each_with_its_gelu_and_a_projection(channels: list[int], grid: Grid, seed: int) -> None:
    stem, side = build(channels, seed), patch_side(channels)
    pixels = normal(seed, 2, 3, side * grid.rows, side * grid.cols)
    weights, maps = stem.state_dict(), pixels
    for number in range(len(channels)):
        weight, bias = (weights.pop(f"convs.{number}.{name}") for name in ("weight", "bias"))
        maps = F.gelu(convolved(maps, weight, bias, step=1 if number % 2 else 2))
    assert {name: tuple(each.shape) for name, each in weights.items()} == {
        "proj.weight": (WIDTH, channels[-1], 1, 1),
        "proj.bias": (WIDTH,),
    }
    x_NPW = rearrange(maps, "n w y x -> n (y x) w")
    expected = F.linear(x_NPW, weights["proj.weight"].flatten(1), weights["proj.bias"])
    assert torch.allclose(stem(pixels), expected, rtol=0, atol=EXACT)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.sampled_from([(0, 1), (1, 0), (1, 1)]), seeds)
def test_a_picture_moved_by_a_patch_moves_the_features_by_a_place(
    channels: list[int], move: tuple[int, int], seed: int
) -> None:
    """Away from the border, whose zeros are seen too."""
    stem, side, places, border = build(channels, seed), patch_side(channels), 9, 3
    down, across = move
    whole = normal(seed, 1, 3, side * (places + down), side * (places + across))
    first = whole[..., : side * places, : side * places]
    second = whole[..., side * down :, side * across :]
    out_1, out_2 = (rearrange(stem(each), "1 (y x) w -> y x w", y=places) for each in (first, second))
    inner = slice(border, places - border)
    expected = out_1[border + down : places - border + down, border + across : places - border + across]
    assert torch.allclose(out_2[inner, inner], expected, rtol=0, atol=EXACT)
    assert not torch.allclose(out_2, out_1)


@settings(max_examples=15)
@given(channels, grids(3).filter(lambda grid: grid.area > 1))
def test_operations_and_bytes_that_are_told_are_the_real_ones(channels: list[int], grid: Grid) -> None:
    """A single feature is not copied on its way out, so that less lives."""
    stem, side = ConvStem(channels=channels, width=WIDTH), patch_side(channels)
    size = Size(side * grid.cols, side * grid.rows)
    pixels = torch.zeros(1, 3, size.height, size.width)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        stem(pixels)
    with torch.no_grad(), LiveBytes() as live:
        stem(pixels)
    assert stem_flops(channels, WIDTH, size=size) == counter.get_total_flops()
    assert stem_bytes(channels, WIDTH, size=size, itemsize=4) == live.peak
