"""Average pooling against Gemma 3's projector in transformers, and against loops."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from transformers.models.gemma3.modeling_gemma3 import Gemma3MultiModalProjector

from tests.projectors.oracles import drawn, settings_of
from tests.strategies import grids, normal, seeds
from tests.tolerances import EXACT, FLOAT32_NORM
from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.projectors import AveragePool, AveragePoolConfig, projectors


@pytest.mark.parametrize(("side", "target"), [(4, 2), (6, 2), (4, 4)])
def test_gemma_3_averages_and_projects_the_same(side: int, target: int) -> None:
    vision = {"hidden_size": 6, "layer_norm_eps": 1e-6, "image_size": 14 * side, "patch_size": 14}
    config = settings_of(vision_config=vision, text_config={"hidden_size": 10}, mm_tokens_per_image=target**2)
    oracle = drawn(Gemma3MultiModalProjector(config))
    projector = projectors.build(AveragePoolConfig(grid=(target, target)), in_dim=6, out_dim=10).double()
    official = oracle.state_dict()
    scale, weight = official["mm_soft_emb_norm.weight"] + 1, official["mm_input_projection_weight"].T
    projector.load_state_dict({"norm.weight": scale, "layers.0.weight": weight})
    x_NYXW = normal(1, 2, side, side, 6)
    expected = oracle(x_NYXW.flatten(1, 2))
    torch.testing.assert_close(projector(x_NYXW).flatten(1, 2), expected, rtol=0, atol=FLOAT32_NORM)


@given(grids(7), grids(7), st.sampled_from(["layer", "none"]), st.integers(1, 3), st.booleans(), seeds)
def test_any_grid_is_averaged_to_any_smaller_one(
    grid: Grid, more: Grid, norm: str, depth: int, use_bias: bool, seed: int
) -> None:
    target, size = grid, Grid(grid.rows + more.rows - 1, grid.cols + more.cols - 1)
    config = AveragePoolConfig(grid=tuple(target), norm=norm, depth=depth, use_bias=use_bias)
    projector = drawn(projectors.build(config, in_dim=3, out_dim=5))
    assert isinstance(projector, AveragePool)
    x_NYXW = normal(seed, 2, *size, 3)
    means = F.adaptive_avg_pool2d(x_NYXW.movedim(-1, 1), (target.rows, target.cols)).movedim(1, -1)
    expected = projector.layers(projector.norm(means))
    assert torch.allclose(projector(x_NYXW), expected, rtol=0, atol=EXACT)


def test_a_token_is_the_mean_of_its_part_of_the_grid() -> None:
    config = AveragePoolConfig(grid=(2, 3), norm="none")
    projector = projectors.build(config, in_dim=2, out_dim=2).double()
    projector.load_state_dict({"layers.0.weight": torch.eye(2)})
    x_NYXW = normal(5, 1, 4, 6, 2)
    tokens = projector(x_NYXW)
    for y in range(2):
        for x in range(3):
            part = x_NYXW[0, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean(dim=(0, 1))
            assert torch.allclose(tokens[0, y, x], part, rtol=0, atol=EXACT)


@pytest.mark.parametrize("grid", [Grid(15, 16), Grid(16, 15), Grid(1, 99)])
def test_a_smaller_grid_is_refused(grid: Grid) -> None:
    with pytest.raises(ConfigError, match=f"a grid of {grid} features .* 16x16"):
        AveragePoolConfig().check_grid(grid)
    AveragePoolConfig().check_grid(Grid(16, 17))
