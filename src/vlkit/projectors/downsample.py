"""DeepSeek-VL2's projector: blocks of features become channels, then an MLP; and what DeepSeek-OCR's code adds to it.

Papers: arXiv:2412.10302, section 2 ("vision-language adaptor"); DeepSeek-OCR arXiv:2510.18234.
"""

from __future__ import annotations

from typing import Any, Literal

from einops import rearrange
from pydantic import model_validator
from torch import Tensor
from torch.nn import functional as F

from vlkit.config import Count, Depth
from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, ProjectorConfig, projectors
from vlkit.projectors.mlp import gelu_mlp, mlp_weights
from vlkit.projectors.pooling import TokenPooling


class DownsampleMlpGeluConfig(ProjectorConfig):
    """Merges `downsample_ratio` x `downsample_ratio` features into one, then `depth` linear layers with GELU."""

    type: Literal["downsample_mlp_gelu"] = "downsample_mlp_gelu"
    """Tag of the projector."""
    depth: Depth = 2
    """Number of linear layers; 1 means the same as 2, as upstream."""
    mlp_ratio: Count = 1
    """Hidden width is `mlp_ratio` times the decoder's."""
    downsample_ratio: Count = 2
    """Side of the merged block; the grid is padded with zeros at the bottom and right to a multiple of it."""
    use_bias: bool = True
    """Whether the linear layers have biases."""
    norm: bool = False
    """Whether the merged features are normalised first: `normlayer_downsample_mlp_gelu` in DeepSeek-OCR's code."""
    pool_first: bool = False
    """Whether token pooling merges 2 x 2 features before, as DeepSeek-OCR's code can and DeepSeek-VL2's cannot."""

    @property
    def merge(self) -> int:
        return self.downsample_ratio * (2 if self.pool_first else 1)

    def grid_out(self, grid: Grid) -> Grid:
        rows, cols = self.pooled(grid)
        return Grid(-(-rows // self.downsample_ratio), -(-cols // self.downsample_ratio))

    def pooled(self, grid: Grid) -> Grid:
        """Rows and columns after token pooling, if there is any."""
        return Grid(grid.rows // 2, grid.cols // 2) if self.pool_first else grid

    def widths(self, *, in_dim: int, out_dim: int) -> list[int]:
        """Widths that the linear layers connect, from the merged features to the decoder."""
        return [in_dim * self.downsample_ratio**2, *[out_dim * self.mlp_ratio] * max(self.depth - 1, 1), out_dim]

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        pooling = self.pooled(grid).area * 4 * in_dim**2 if self.pool_first else 0
        return 2 * (pooling + self.grid_out(grid).area * mlp_weights(self.widths(in_dim=in_dim, out_dim=out_dim)))

    @model_validator(mode="before")
    @classmethod
    def _refuse_token_pooling(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("token_pooling"):
            raise ConfigError(
                "token_pooling with projector 'downsample_mlp_gelu'",
                rule="features are merged once; the official code builds a first layer of the wrong width here",
                remedy="drop token_pooling, use it with 'identity', 'linear' or 'mlp_gelu', or set pool_first for both",
            )
        return data


@projectors.register(DownsampleMlpGeluConfig)
class DownsampleMlpGelu(Projector):
    """Space to depth (channel, row, column), then the MLP."""

    config: DownsampleMlpGeluConfig

    def __init__(self, config: DownsampleMlpGeluConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.token_pooling_layer = TokenPooling(in_dim, bias=config.use_bias) if config.pool_first else None
        self.layers = gelu_mlp(config.widths(in_dim=in_dim, out_dim=out_dim), bias=config.use_bias, norm=config.norm)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        if self.token_pooling_layer is not None:
            x_NYXW = self.token_pooling_layer(x_NYXW)
        side = self.config.downsample_ratio
        rows, cols = x_NYXW.shape[1:3]
        padded = F.pad(x_NYXW, (0, 0, 0, -cols % side, 0, -rows % side))
        blocks = rearrange(padded, "n (y a) (x b) w -> n y x (w a b)", a=side, b=side)
        return self.layers(blocks)
