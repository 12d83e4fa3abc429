"""Token pooling against loops over blocks."""

import torch
from hypothesis import given

from tests.strategies import grids, normal, seeds
from tests.tolerances import EXACT
from vlkit.notation import Grid
from vlkit.projectors import Identity, IdentityConfig, Linear, LinearConfig, MlpGelu, MlpGeluConfig, projectors
from vlkit.projectors.pooling import TokenPooling


@given(grids(6), seeds)
def test_two_by_two_features_are_merged_channel_first_and_odd_edges_dropped(grid: Grid, seed: int) -> None:
    pool, x_NYXW = TokenPooling(3, bias=True).double(), normal(seed, 2, *grid, 3)
    merged = pool(x_NYXW)
    assert merged.shape == (2, grid.rows // 2, grid.cols // 2, 3)
    for n in range(2):
        for y in range(grid.rows // 2):
            for x in range(grid.cols // 2):
                block = [x_NYXW[n, 2 * y + a, 2 * x + b, w] for w in range(3) for a in range(2) for b in range(2)]
                expected = pool.weight @ torch.stack(block) + pool.bias
                assert torch.allclose(merged[n, y, x], expected, rtol=0, atol=EXACT)


@given(grids(6), seeds)
def test_pooling_composes_before_the_projector_proper(grid: Grid, seed: int) -> None:
    x_NYXW = normal(seed, 1, *grid, 4)
    for config in (
        IdentityConfig(token_pooling=True),
        LinearConfig(token_pooling=True),
        MlpGeluConfig(token_pooling=True),
    ):
        projector = projectors.build(config, in_dim=4, out_dim=4).double()
        assert isinstance(projector, Identity | Linear | MlpGelu)
        assert projector.token_pooling_layer is not None
        bare = projectors.build(config.replace(token_pooling=False), in_dim=4, out_dim=4).double()
        bare.load_state_dict({k: v for k, v in projector.state_dict().items() if not k.startswith("token_pooling")})
        assert torch.equal(projector(x_NYXW), bare(projector.token_pooling_layer(x_NYXW)))
