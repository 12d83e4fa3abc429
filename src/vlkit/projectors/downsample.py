"""DeepSeek-VL2's projector: blocks of features become channels, then an MLP.

Paper: arXiv:2412.10302, section 2 ("vision-language adaptor").
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from einops import rearrange
from pydantic import model_validator
from torch import Tensor
from torch.nn import functional as F

from vlkit.config import Count, Depth
from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, ProjectorConfig, projectors
from vlkit.projectors.mlp import gelu_mlp


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

    @property
    def merge(self) -> int:
        return self.downsample_ratio

    def grid_out(self, grid: Grid) -> Grid:
        return Grid(-(-grid.rows // self.merge), -(-grid.cols // self.merge))

    def widths(self, *, in_dim: int, out_dim: int) -> list[int]:
        """Widths that the linear layers connect, from the merged features to the decoder."""
        return [in_dim * self.merge**2, *[out_dim * self.mlp_ratio] * max(self.depth - 1, 1), out_dim]

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        weights = sum(a * b for a, b in pairwise(self.widths(in_dim=in_dim, out_dim=out_dim)))
        return 2 * self.grid_out(grid).area * weights

    @model_validator(mode="before")
    @classmethod
    def _refuse_token_pooling(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("token_pooling"):
            raise ConfigError(
                "token_pooling with projector 'downsample_mlp_gelu'",
                rule="features are merged once; the official code builds a first layer of the wrong width here",
                remedy="drop token_pooling, or use it with 'identity', 'linear' or 'mlp_gelu'",
            )
        return data


@projectors.register(DownsampleMlpGeluConfig)
class DownsampleMlpGelu(Projector):
    """Space to depth (channel, row, column), then the MLP."""

    config: DownsampleMlpGeluConfig

    def __init__(self, config: DownsampleMlpGeluConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.layers = gelu_mlp(config.widths(in_dim=in_dim, out_dim=out_dim), bias=config.use_bias)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        side = self.config.merge
        rows, cols = x_NYXW.shape[1:3]
        padded = F.pad(x_NYXW, (0, 0, 0, -cols % side, 0, -rows % side))
        blocks = rearrange(padded, "n (y a) (x b) w -> n y x (w a b)", a=side, b=side)
        return self.layers(blocks)
