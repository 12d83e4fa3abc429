"""Laws of every projector."""

from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.projectors.drawn import ANY, IN_DIM, LOCAL, PICKY, fits, widths, without_biases
from tests.strategies import grids, normal, seeds
from vlkit.errors import ConfigError, ShapeError
from vlkit.notation import Grid
from vlkit.projectors import (
    DownsampleMlpGeluConfig,
    IdentityConfig,
    ProjectorConfig,
    SuppliedProjectorConfig,
    projectors,
)

REQUIRED = {"hybrid_split_feature_mlp_gelu": {"high_width": 3}}


@given(ANY, grids(7), st.integers(0, 3))
def test_declared_grid_is_the_real_one_for_any_grid(config: ProjectorConfig, grid: Grid, views: int) -> None:
    assume(fits(config, grid))
    projector = projectors.build(config, **widths(config))
    out = projector(torch.zeros(views, *grid, IN_DIM))
    assert out.shape == (views, *config.grid_out(grid), projector.out_dim)
    assert projector.grid_out(grid) == config.grid_out(grid)


@given(PICKY, grids(4))
def test_a_grid_that_the_config_refuses_is_refused_by_the_module(config: ProjectorConfig, grid: Grid) -> None:
    assume(not fits(config, grid))
    projector = projectors.build(config, **widths(config))
    with pytest.raises(ConfigError) as told:
        config.check_grid(grid)
    with pytest.raises(ShapeError) as raised:
        projector(torch.zeros(1, *grid, IN_DIM))
    assert str(raised.value) == str(told.value)
    assert raised.value.rule and raised.value.remedy


@given(ANY, grids(5), seeds)
def test_views_do_not_depend_on_each_other(config: ProjectorConfig, grid: Grid, seed: int) -> None:
    assume(fits(config, grid))
    projector, x_NYXW = projectors.build(config, **widths(config)).double(), normal(seed, 3, *grid, IN_DIM)
    alone = torch.cat([projector(view) for view in x_NYXW.split(1)])
    assert torch.allclose(projector(x_NYXW), alone, rtol=0, atol=1e-12)


@given(LOCAL, st.sampled_from([4, 6, 8]), seeds)
def test_tokens_see_only_the_block_that_merge_says(config: ProjectorConfig, side: int, seed: int) -> None:
    assume(fits(config, Grid(side, side)) and config.merge <= side)
    projector, x_NYXW = projectors.build(config, **widths(config)).double(), normal(seed, 1, side, side, IN_DIM)
    changed = x_NYXW.clone()
    changed[0, side - 1, 0] += normal(seed + 1, IN_DIM)
    moved = (projector(x_NYXW) != projector(changed)).any(dim=-1)[0].nonzero().tolist()
    assert moved == [[(side - 1) // config.merge, 0]]


@given(ANY)
def test_use_bias_says_whether_linear_layers_have_biases(config: ProjectorConfig) -> None:
    projector = projectors.build(config, **widths(config))
    linears = [module for module in projector.modules() if isinstance(module, nn.Linear)]
    assert {linear.bias is not None for linear in linears} <= {config.model_dump()["use_bias"]}


@given(LOCAL.map(without_biases))
def test_without_biases_zero_stays_zero(config: ProjectorConfig) -> None:
    assume(fits(config, Grid(4, 6)))
    projector = projectors.build(config, **widths(config))
    assert projector(torch.zeros(1, 4, 6, IN_DIM)).count_nonzero() == 0


@given(ANY, grids(6))
def test_declared_operations_are_the_counted_ones(config: ProjectorConfig, grid: Grid) -> None:
    assume(fits(config, grid))
    projector = projectors.build(config, **widths(config)).requires_grad_(False)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        projector(torch.zeros(2, *grid, IN_DIM))
    assert counter.get_total_flops() == 2 * config.forward_flops(grid, **widths(config))


@given(ANY, grids(4), seeds)
def test_a_projector_built_without_memory_is_whole_once_its_weights_are_assigned(
    config: ProjectorConfig, grid: Grid, seed: int
) -> None:
    assume(fits(config, grid))
    projector, x_NYXW = projectors.build(config, **widths(config)), normal(seed, 1, *grid, IN_DIM).float()
    with torch.device("meta"):
        empty = projectors.build(config, **widths(config))
    empty.load_state_dict(projector.state_dict(), assign=True)
    assert torch.equal(empty(x_NYXW), projector(x_NYXW))


@given(ANY, grids(4), seeds)
def test_every_parameter_and_feature_has_a_gradient(config: ProjectorConfig, grid: Grid, seed: int) -> None:
    assume(fits(config, grid) and min(config.grid_out(grid)) > 0)
    projector = projectors.build(config, **widths(config)).double()
    x_NYXW = normal(seed, 1, *grid, IN_DIM).requires_grad_()
    projector(x_NYXW).square().sum().backward()
    assert x_NYXW.grad is not None
    assert [name for name, parameter in projector.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("tag", [tag for tag in projectors if tag != "supplied"])
@pytest.mark.parametrize("shape", [(2, 9, 4), (2, 3, 3, 5), (3, 3, 4)])
def test_flat_sequences_and_other_widths_are_refused(tag: str, shape: tuple[int, ...]) -> None:
    with torch.device("meta"):
        projector = projectors.build(projectors.resolve(tag, **REQUIRED.get(tag, {})), in_dim=4, out_dim=4)
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
