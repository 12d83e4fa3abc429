"""Convolutions behind a transformer: norms over channels, and grids that are halved."""

import torch
from hypothesis import given
from torch import Tensor
from torch.nn import functional as F

from tests.strategies import grids, normal, seeds
from tests.tolerances import EXACT
from vlkit.nn.neck import ChannelNorm, HalvingConv, Neck, halved
from vlkit.notation import Grid


@given(grids(3), seeds)
def test_a_channel_norm_makes_each_place_standard(grid: Grid, seed: int) -> None:
    norm, x_NWYX = ChannelNorm(4, eps=1e-6).double(), normal(seed, 2, 4, *grid)
    with torch.no_grad():
        norm.weight.copy_(normal(seed, 4))
        norm.bias.copy_(normal(seed + 1, 4))
    centred = x_NWYX - x_NWYX.mean(dim=1, keepdim=True)
    standard = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-6).sqrt()
    expected = norm.weight[:, None, None] * standard + norm.bias[:, None, None]
    assert torch.allclose(norm(x_NWYX), expected, rtol=0, atol=EXACT)


def convolved(x_NYXW: Tensor, weight: Tensor, *, step: int) -> Tensor:
    """Sum over the 3 x 3 neighbours of every `step`-th place, zeros being the neighbours outside."""
    rows, cols = x_NYXW.shape[1:3]
    padded = F.pad(x_NYXW, (0, 0, 1, 1, 1, 1))
    terms = [
        F.linear(padded[:, row : row + rows : step, col : col + cols : step], weight[:, :, row, col])
        for row in range(3)
        for col in range(3)
    ]
    return torch.stack(terms).sum(dim=0)


@given(grids(4), seeds)
def test_a_neck_is_two_convolutions_and_two_norms(grid: Grid, seed: int) -> None:
    neck, x_NYXW = Neck(5, 3).double(), normal(seed, 2, *grid, 5)
    weights = neck.state_dict()
    mixed = F.linear(x_NYXW, weights["0.weight"][:, :, 0, 0])
    normed = F.layer_norm(mixed, (3,), weights["1.weight"], weights["1.bias"], eps=1e-6)
    near = convolved(normed, weights["2.weight"], step=1)
    expected = F.layer_norm(near, (3,), weights["3.weight"], weights["3.bias"], eps=1e-6)
    assert torch.allclose(neck(x_NYXW), expected, rtol=0, atol=EXACT)
    assert sorted(weights) == ["0.weight", "1.bias", "1.weight", "2.weight", "3.bias", "3.weight"]


@given(grids(7), seeds)
def test_a_halving_convolution_sees_every_second_place_and_its_neighbours(grid: Grid, seed: int) -> None:
    conv, x_NYXW = HalvingConv(5, 3).double(), normal(seed, 2, *grid, 5)
    assert conv(x_NYXW).shape[1:3] == halved(grid)
    assert torch.allclose(conv(x_NYXW), convolved(x_NYXW, conv.weight, step=2), rtol=0, atol=EXACT)
    assert list(conv.state_dict()) == ["weight"]
