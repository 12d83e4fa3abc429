"""DeepSeek-VL2's projector: blocks of features become channels, then an MLP.

Paper: arXiv:2412.10302, section 2 ("vision-language adaptor").
"""

from __future__ import annotations

from typing import Any, Literal

from einops import rearrange
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, ProjectorConfig, projectors
from vlkit.projectors.mlp import gelu_mlp


class DownsampleMlpGeluConfig(ProjectorConfig):
    """Merges `downsample_ratio` x `downsample_ratio` features into one, then `depth` linear layers with GELU."""

    type: Literal["downsample_mlp_gelu"] = "downsample_mlp_gelu"
    """Tag of the projector."""
    depth: int = Field(default=2, ge=1)
    """Number of linear layers; 1 means the same as 2, as upstream."""
    mlp_ratio: int = Field(default=1, ge=1)
    """Hidden width is `mlp_ratio` times the decoder's."""
    downsample_ratio: int = Field(default=2, ge=1)
    """Side of the merged block; the grid is padded with zeros at the bottom and right to a multiple of it."""
    use_bias: bool = True
    """Whether the linear layers have biases."""

    @property
    def merge(self) -> int:
        return self.downsample_ratio

    def grid_out(self, grid: Grid) -> Grid:
        return Grid(-(-grid.rows // self.merge), -(-grid.cols // self.merge))

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
        hidden = [out_dim * config.mlp_ratio] * max(config.depth - 1, 1)
        self.layers = gelu_mlp([in_dim * config.merge**2, *hidden, out_dim], bias=config.use_bias)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        side = self.config.merge
        rows, cols = x_NYXW.shape[1:3]
        padded = F.pad(x_NYXW, (0, 0, 0, -cols % side, 0, -rows % side))
        blocks = rearrange(padded, "n (y a) (x b) w -> n y x (w a b)", a=side, b=side)
        return self.layers(blocks)
