"""Average pooling to a grid of tokens, then linear layers.

Papers: Gemma 3 arXiv:2503.19786, section 2.1 (256 tokens per tile); DeCo arXiv:2405.20985, section 4.
"""

from __future__ import annotations

from typing import Literal

from einops import rearrange
from torch import Tensor, nn

from vlkit.config import Depth
from vlkit.nn.norm import RMSNorm
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, projectors
from vlkit.projectors.mlp import gelu_mlp, mlp_weights
from vlkit.projectors.target_grid import TargetGridConfig


class AveragePoolConfig(TargetGridConfig):
    """Averages to `grid`, then a norm and `depth` linear layers with GELU; the defaults are Gemma 3's."""

    type: Literal["average_pool"] = "average_pool"
    """Tag of the projector."""
    norm: Literal["rms", "layer", "none"] = "rms"
    """Norm of the averages."""
    depth: Depth = 1
    """Number of linear layers: the first leads to the decoder's width."""
    use_bias: bool = False
    """Whether the linear layers have biases."""

    def widths(self, *, in_dim: int, out_dim: int) -> list[int]:
        """Widths that the linear layers connect."""
        return [in_dim, *[out_dim] * self.depth]

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        return 2 * self.grid_out(grid).area * mlp_weights(self.widths(in_dim=in_dim, out_dim=out_dim))


@projectors.register(AveragePoolConfig)
class AveragePool(Projector):
    """Average, norm, linear layers."""

    config: AveragePoolConfig

    def __init__(self, config: AveragePoolConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.pool = nn.AdaptiveAvgPool2d(config.grid)
        self.norm: nn.Module
        match config.norm:
            case "rms":
                self.norm = RMSNorm(in_dim)
            case "layer":
                self.norm = nn.LayerNorm(in_dim)
            case "none":
                self.norm = nn.Identity()
        self.layers = gelu_mlp(config.widths(in_dim=in_dim, out_dim=out_dim), bias=config.use_bias)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_grid(x_NYXW)
        averages = rearrange(self.pool(rearrange(x_NYXW, "n y x w -> n w y x")), "n w y x -> n y x w")
        return self.layers(self.norm(averages))
