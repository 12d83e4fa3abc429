"""Downsampling against torch's unfold, and the published sizes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from tests.strategies import grids, normal, seeds
from tests.tolerances import EXACT
from vlkit.notation import Grid
from vlkit.projectors import DownsampleMlpGelu, DownsampleMlpGeluConfig, projectors


def unfolded(x_NYXW: Tensor, side: int) -> Tensor:
    """Zero-padded blocks as channels, by the function that the official code uses."""
    rows, cols = x_NYXW.shape[1:3]
    padded = F.pad(x_NYXW.movedim(-1, 1), (0, -cols % side, 0, -rows % side))
    blocks = F.unfold(padded, kernel_size=side, stride=side).transpose(1, 2)
    return blocks.unflatten(1, (padded.shape[2] // side, padded.shape[3] // side))


@given(grids(7), st.integers(1, 4), st.integers(1, 3), seeds)
def test_blocks_are_merged_as_unfold_does_with_padding(grid: Grid, side: int, depth: int, seed: int) -> None:
    config = DownsampleMlpGeluConfig(downsample_ratio=side, depth=depth)
    projector = projectors.build(config, in_dim=3, out_dim=5).double()
    assert isinstance(projector, DownsampleMlpGelu)
    x_NYXW = normal(seed, 2, *grid, 3)
    expected = projector.layers(unfolded(x_NYXW, side))
    assert torch.allclose(projector(x_NYXW), expected, rtol=0, atol=EXACT)


@pytest.mark.parametrize(("depth", "mlp_ratio", "shapes"), [
    (1, 1, [(6, 12), (6, 6)]),
    (2, 1, [(6, 12), (6, 6)]),
    (2, 3, [(18, 12), (6, 18)]),
    (4, 2, [(12, 12), (12, 12), (12, 12), (6, 12)]),
])  # fmt: skip
def test_layers_go_through_the_hidden_width(depth: int, mlp_ratio: int, shapes: list[tuple[int, int]]) -> None:
    config = DownsampleMlpGeluConfig(depth=depth, mlp_ratio=mlp_ratio)
    projector = projectors.build(config, in_dim=3, out_dim=6)
    linears = [module for module in projector.modules() if isinstance(module, nn.Linear)]
    assert [tuple(linear.weight.shape) for linear in linears] == shapes
    assert sum(isinstance(module, nn.GELU) for module in projector.modules()) == len(shapes) - 1


def test_the_released_grid_of_27_becomes_14() -> None:
    assert DownsampleMlpGeluConfig().grid_out(Grid(27, 27)) == Grid(14, 14)
