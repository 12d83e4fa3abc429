"""Token pooling: merges blocks of 2 x 2 features back to the encoder's width before the projector proper."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor

from vlkit.nn.linear import Linear
from vlkit.notation import Grid
from vlkit.projectors.base import ProjectorConfig


class PoolingConfig(ProjectorConfig):
    """Base of the projectors that token pooling composes with."""

    use_bias: bool = True
    """Whether the linear layers have biases."""
    token_pooling: bool = False
    """Whether 2 x 2 features are first merged into one; an odd last row or column is dropped, as upstream."""

    @property
    def merge(self) -> int:
        return 2 if self.token_pooling else 1

    def grid_out(self, grid: Grid) -> Grid:
        return Grid(grid.rows // self.merge, grid.cols // self.merge)

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        pooling = 4 * in_dim**2 if self.token_pooling else 0
        return 2 * self.grid_out(grid).area * (pooling + self.layer_weights(in_dim=in_dim, out_dim=out_dim))

    def layer_weights(self, *, in_dim: int, out_dim: int) -> int:
        """Weights of the linear layers after the pooling, without biases."""
        return 0


class TokenPooling(Linear):
    """Linear layer on the channels of 2 x 2 features: width 4W to W."""

    def __init__(self, width: int, *, bias: bool) -> None:
        super().__init__(4 * width, width, bias=bias)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        """float[N, Y, X, W] to float[N, Y // 2, X // 2, W]."""
        rows, cols = (2 * (side // 2) for side in x_NYXW.shape[1:3])
        blocks = rearrange(x_NYXW[:, :rows, :cols], "n (y a) (x b) w -> n y x (w a b)", a=2, b=2)
        return super().forward(blocks)
