"""Fusion of two towers: what is added to what, and what may follow."""

import pytest
import torch
from hypothesis import given

from tests.projectors.drawn import fused
from tests.strategies import grids, normal, seeds
from tests.tolerances import EXACT
from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.projectors import (
    ConvFusion,
    ConvFusionConfig,
    DownsampleMlpGeluConfig,
    IdentityConfig,
    LinearConfig,
    ProjectorConfig,
    projectors,
)


@given(fused, grids(5), seeds)
def test_the_sum_goes_through_the_projector(inner: ProjectorConfig, grid: Grid, seed: int) -> None:
    config = ConvFusionConfig(projector=inner)
    projector = projectors.build(config, in_dim=6, out_dim=5).double()
    assert isinstance(projector, ConvFusion)
    x_NYXW = normal(seed, 2, *grid, 6)
    high, low = x_NYXW[..., :3], x_NYXW[..., 3:]
    weight, bias = projector.fusion_layer.weight, projector.fusion_layer.bias
    expected = projector.projector(high @ weight.T + bias + low)
    assert torch.allclose(projector(x_NYXW), expected, rtol=0, atol=EXACT)
    assert (config.grid_out(grid), config.merge) == (inner.grid_out(grid), inner.merge)


def test_what_may_follow_is_named_by_its_tag() -> None:
    config = projectors.resolve("conv_fusion", projector={"type": "downsample_mlp_gelu", "downsample_ratio": 3})
    assert config == ConvFusionConfig(projector=DownsampleMlpGeluConfig(downsample_ratio=3))
    assert ConvFusionConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ConfigError, match=r"projector: .*'low_high_hybrid_split_mlp_gelu'"):
        projectors.resolve("conv_fusion", projector={"type": "low_high_hybrid_split_mlp_gelu"})


@pytest.mark.parametrize("inner", [LinearConfig(token_pooling=True), DownsampleMlpGeluConfig(pool_first=True)])
def test_token_pooling_does_not_follow(inner: LinearConfig | DownsampleMlpGeluConfig) -> None:
    with pytest.raises(ConfigError, match=f"token pooling in projector '{inner.type}'"):
        ConvFusionConfig(projector=inner)


def test_widths_are_those_of_the_sum() -> None:
    ConvFusionConfig(projector=IdentityConfig()).check(in_dim=8, out_dim=4)
    with pytest.raises(ConfigError, match="encoder width 4 and decoder width 8"):
        ConvFusionConfig(projector=IdentityConfig()).check(in_dim=8, out_dim=8)
    with pytest.raises(ConfigError, match="the width is even"):
        ConvFusionConfig().check(in_dim=7, out_dim=4)
