"""The block of ViTDet: where attention sees a window only, and what padding does in it."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.strategies import grids, normal, seeds
from tests.tolerances import EXACT
from vlkit.nn.window_block import WindowBlock
from vlkit.notation import Grid


def build(seed: int, *, side: int, windowed: bool) -> WindowBlock:
    block = WindowBlock(6, heads=2, mlp_width=5, side=side, windowed=windowed).double()
    with torch.no_grad():
        for number, parameter in enumerate(block.parameters()):
            parameter.copy_(normal(seed + number, *parameter.shape))
    return block


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), seeds)
def test_windows_are_grids_of_their_own(side: int, rows: int, cols: int, seed: int) -> None:
    near, wide = (build(seed, side=side, windowed=windowed) for windowed in (True, False))
    x_NYXW = normal(seed, 2, rows * side, cols * side, 6)
    expected = [torch.cat([wide(part) for part in row.split(side, dim=2)], dim=2) for row in x_NYXW.split(side, dim=1)]
    assert torch.allclose(near(x_NYXW), torch.cat(expected, dim=1), rtol=0, atol=EXACT)


@given(grids(5), st.integers(2, 4), seeds)
def test_padding_after_the_norm_is_attended_to(grid: Grid, side: int, seed: int) -> None:
    block, x_NYXW = build(seed, side=side, windowed=True), normal(seed, 1, *grid, 6)
    padded = F.pad(block.norm1(x_NYXW), (0, 0, 0, -grid.cols % side, 0, -grid.rows % side))
    rows = [
        torch.cat([block.attn(part) for part in row.split(side, dim=2)], dim=2) for row in padded.split(side, dim=1)
    ]
    attended = x_NYXW + torch.cat(rows, dim=1)[:, : grid.rows, : grid.cols]
    mlp = block.mlp.state_dict()
    hidden = F.gelu(F.linear(block.norm2(attended), mlp["lin1.weight"], mlp["lin1.bias"]))
    expected = attended + F.linear(hidden, mlp["lin2.weight"], mlp["lin2.bias"])
    assert torch.allclose(block(x_NYXW), expected, rtol=0, atol=EXACT)
