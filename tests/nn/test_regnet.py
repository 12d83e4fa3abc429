"""RegNet blocks against timm's, and the operations that they tell."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.layers import LayerNorm2d
from timm.models.regnet import RegStage
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.strategies import grids, normal
from tests.tolerances import EXACT
from vlkit.nn.regnet import Stage, squeezed_width, stage_flops
from vlkit.notation import Grid


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize(("width", "out_width"), [(8, 8), (8, 12), (10, 4), (6, 9)])
def test_a_stage_is_timm_s(width: int, out_width: int, blocks: int) -> None:
    oracle = RegStage(blocks, width, out_width, stride=1, dilation=1, act_layer=nn.SiLU, norm_layer=LayerNorm2d)
    ours = Stage(width, out_width, blocks=blocks, bias=True).double()
    with torch.no_grad():
        for parameter in oracle.double().parameters():
            parameter.normal_()
    ours.load_state_dict(oracle.state_dict())
    x_NWYX = normal(1, 2, width, 3, 5)
    torch.testing.assert_close(ours(x_NWYX), oracle(x_NWYX), rtol=0, atol=EXACT)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), grids(5))
def test_told_operations_are_the_counted_ones(width: int, out_width: int, blocks: int, grid: Grid) -> None:
    stage = Stage(width, out_width, blocks=blocks, bias=True).requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        stage(torch.zeros(1, width, *grid))
    assert counter.get_total_flops() == stage_flops(grid, width, out_width, blocks=blocks)


def test_a_narrow_tile_is_squeezed_to_one_channel() -> None:
    assert [squeezed_width(width) for width in (1, 2, 8, 10, 1024)] == [1, 1, 2, 2, 256]
