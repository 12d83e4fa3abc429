"""Pixel shuffle against the connectors of Idefics3 and InternVL in transformers, and torch's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from transformers import InternVLConfig
from transformers.models.idefics3.modeling_idefics3 import Idefics3Connector
from transformers.models.internvl.modeling_internvl import InternVLModel, InternVLMultiModalProjector

from tests.projectors.oracles import drawn, settings_of
from tests.strategies import grids, normal, seeds
from tests.tolerances import EXACT
from vlkit.checkpoint.keymap import KeyMap
from vlkit.checkpoint.rules import Rule
from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.projectors import PixelShuffleConfig, projectors

INTERNVL = KeyMap(
    [
        Rule("layer_norm.{rest}", "layers.0.{rest}"),
        Rule("linear_1.{rest}", "layers.1.{rest}"),
        Rule("linear_2.{rest}", "layers.3.{rest}"),
    ]
)
IDEFICS3 = KeyMap([Rule("modality_projection.proj.{rest}", "layers.0.{rest}")])


@pytest.mark.parametrize("rows", [4, 6])
@pytest.mark.parametrize("cols", [4, 8])
def test_internvl_merges_and_projects_the_same(rows: int, cols: int) -> None:
    vision, text = {"hidden_size": 6, "num_hidden_layers": 1}, {"model_type": "qwen2", "hidden_size": 10}
    oracle = drawn(InternVLMultiModalProjector(InternVLConfig(vision_config=vision, text_config=text)))
    projector = projectors.build(PixelShuffleConfig(), in_dim=6, out_dim=10).double()
    projector.load_state_dict(INTERNVL.from_theirs(oracle.state_dict()))
    x_NYXW = normal(1, 2, rows, cols, 6)
    expected = oracle(InternVLModel.pixel_shuffle(None, x_NYXW, scale_factor=0.5))
    torch.testing.assert_close(projector(x_NYXW), expected, rtol=0, atol=EXACT)


@pytest.mark.parametrize(("side", "scale"), [(4, 2), (6, 3), (12, 4)])
def test_idefics3_merges_and_projects_the_same(side: int, scale: int) -> None:
    config = settings_of(vision_config={"hidden_size": 6}, text_config={"hidden_size": 10}, scale_factor=scale)
    oracle = drawn(Idefics3Connector(config))
    one_linear = PixelShuffleConfig(scale_factor=scale, depth=1, norm=False, use_bias=False)
    projector = projectors.build(one_linear, in_dim=6, out_dim=10).double()
    projector.load_state_dict(IDEFICS3.from_theirs(oracle.state_dict()))
    x_NYXW = normal(2, 2, side, side, 6)
    torch.testing.assert_close(projector(x_NYXW).flatten(1, 2), oracle(x_NYXW.flatten(1, 2)), rtol=0, atol=EXACT)


@given(grids(3), st.integers(1, 3), seeds)
def test_order_sorts_the_same_channels_differently(blocks: Grid, scale: int, seed: int) -> None:
    x_NYXW = normal(seed, 2, blocks.rows * scale, blocks.cols * scale, 3)

    def merged(order: str) -> Tensor:
        config = PixelShuffleConfig(scale_factor=scale, order=order, norm=False, depth=1, use_bias=False)
        width = 3 * scale**2
        projector = projectors.build(config, in_dim=3, out_dim=width).double()
        projector.load_state_dict({"layers.0.weight": torch.eye(width)})
        return projector(x_NYXW)

    unshuffled = F.pixel_unshuffle(x_NYXW.movedim(-1, 1), scale).movedim(1, -1)
    assert torch.equal(merged("channel"), unshuffled)
    assert torch.equal(merged("place"), unshuffled.unflatten(-1, (3, -1)).transpose(-1, -2).flatten(-2))


@pytest.mark.parametrize(("grid", "scale"), [((27, 27), 2), ((4, 5), 2), ((5, 4), 2), ((9, 8), 3)])
def test_grids_that_do_not_divide_are_refused_before_anything_is_built(grid: tuple[int, int], scale: int) -> None:
    with pytest.raises(ConfigError, match=f"{Grid(*grid)} features with scale_factor {scale}") as raised:
        PixelShuffleConfig(scale_factor=scale).check_grid(Grid(*grid))
    assert f"multiple of {scale} patches" in str(raised.value)
