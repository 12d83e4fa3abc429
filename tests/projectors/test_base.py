"""Laws of every projector."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.strategies import grids, normal, seeds
from vlkit.errors import ConfigError, ShapeError
from vlkit.notation import Grid
from vlkit.projectors import (
    DownsampleMlpGeluConfig,
    IdentityConfig,
    LinearConfig,
    MlpGeluConfig,
    ProjectorConfig,
    SuppliedProjectorConfig,
    projectors,
)

pooling = st.fixed_dictionaries({"token_pooling": st.booleans(), "use_bias": st.booleans()})
depths = st.integers(1, 3)
configs: st.SearchStrategy[ProjectorConfig] = st.one_of(
    st.builds(lambda fields: IdentityConfig(**fields), pooling),
    st.builds(lambda fields: LinearConfig(**fields), pooling),
    st.builds(lambda fields, depth: MlpGeluConfig(**fields, depth=depth), pooling, depths),
    st.builds(
        DownsampleMlpGeluConfig,
        depth=depths,
        mlp_ratio=st.integers(1, 2),
        downsample_ratio=st.integers(1, 4),
        use_bias=st.booleans(),
    ),
)


def widths(config: ProjectorConfig) -> dict[str, int]:
    """Widths that every projector takes, and identity too."""
    return {"in_dim": 4, "out_dim": 4 if isinstance(config, IdentityConfig) else 6}


@given(configs, grids(7), st.integers(0, 3))
def test_declared_grid_is_the_real_one_for_any_grid(config: ProjectorConfig, grid: Grid, views: int) -> None:
    projector = projectors.build(config, **widths(config))
    out = projector(torch.zeros(views, *grid, 4))
    assert out.shape == (views, *config.grid_out(grid), projector.out_dim)
    assert projector.grid_out(grid) == config.grid_out(grid)


@given(configs, grids(5), seeds)
def test_views_do_not_depend_on_each_other(config: ProjectorConfig, grid: Grid, seed: int) -> None:
    projector, x_NYXW = projectors.build(config, **widths(config)).double(), normal(seed, 3, *grid, 4)
    alone = torch.cat([projector(view) for view in x_NYXW.split(1)])
    assert torch.allclose(projector(x_NYXW), alone, rtol=0, atol=1e-12)


@given(configs, st.sampled_from([2, 4, 6]), seeds)
def test_tokens_see_only_the_block_that_merge_says(config: ProjectorConfig, side: int, seed: int) -> None:
    projector, x_NYXW = projectors.build(config, **widths(config)).double(), normal(seed, 1, side, side, 4)
    changed = x_NYXW.clone()
    changed[0, side - 1, 0] += 1
    moved = (projector(x_NYXW) != projector(changed)).any(dim=-1)[0].nonzero().tolist()
    assert moved == [[(side - 1) // config.merge, 0]]


@given(configs)
def test_use_bias_is_the_only_source_of_biases(config: ProjectorConfig) -> None:
    projector = projectors.build(config, **widths(config))
    has_layers = any(isinstance(module, nn.Linear) for module in projector.modules())
    biases = [name for name, _ in projector.named_parameters() if "bias" in name]
    assert bool(biases) == (has_layers and config.model_dump()["use_bias"])


@given(configs)
def test_without_biases_zero_stays_zero(config: ProjectorConfig) -> None:
    projector = projectors.build(config.replace(use_bias=False), **widths(config))
    assert projector(torch.zeros(1, 3, 5, 4)).count_nonzero() == 0


@pytest.mark.parametrize("tag", [tag for tag in projectors if tag != "supplied"])
@pytest.mark.parametrize("shape", [(2, 9, 4), (2, 3, 3, 5), (3, 3, 4)])
def test_flat_sequences_and_other_widths_are_refused(tag: str, shape: tuple[int, ...]) -> None:
    projector = projectors.build(projectors.resolve(tag), in_dim=4, out_dim=4)
    with pytest.raises(ShapeError, match=r"float\[N, Y, X, 4\]"):
        projector(torch.zeros(shape))


@given(st.integers(1, 40), st.integers(1, 40))
def test_identity_joins_equal_widths_only(in_dim: int, out_dim: int) -> None:
    if in_dim == out_dim:
        x_NYXW = torch.randn(1, 2, 3, in_dim)
        assert projectors.build(IdentityConfig(), in_dim=in_dim, out_dim=out_dim)(x_NYXW) is x_NYXW
        return
    for token_pooling in (False, True):
        config = IdentityConfig(token_pooling=token_pooling)
        for attempt in (config.check, lambda config=config, **dims: projectors.build(config, **dims)):
            with pytest.raises(ConfigError, match=f"encoder width {in_dim} and decoder width {out_dim}"):
                attempt(in_dim=in_dim, out_dim=out_dim)


@pytest.mark.parametrize("make", [DownsampleMlpGeluConfig, lambda **f: projectors.resolve("downsample_mlp_gelu", **f)])
def test_token_pooling_and_downsampling_are_refused_together(make: Any) -> None:
    with pytest.raises(ConfigError, match="features are merged once") as caught:
        make(token_pooling=True)
    assert "drop token_pooling" in str(caught.value)


@given(grids(9), st.integers(1, 4))
def test_a_supplied_projector_is_declared_but_not_built_from_its_config(grid: Grid, side: int) -> None:
    config = SuppliedProjectorConfig(downsample=side)
    covered = config.grid_out(grid)
    assert (covered.rows - 1) * side < grid.rows <= covered.rows * side
    assert (covered.cols - 1) * side < grid.cols <= covered.cols * side
    with pytest.raises(ConfigError, match="passed to the builder"):
        projectors.build(config, in_dim=2, out_dim=2)
