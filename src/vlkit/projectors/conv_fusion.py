"""Fusion of two towers into one grid of features, before a projector for one.

Source: `conv_fusion_high_low_features` in DeepSeek-OCR's code, arXiv:2510.18234.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import Tensor

from vlkit.errors import ConfigError
from vlkit.nn.linear import Linear
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, ProjectorConfig, projectors
from vlkit.projectors.downsample import DownsampleMlpGeluConfig
from vlkit.projectors.linear import IdentityConfig, LinearConfig
from vlkit.projectors.mlp import MlpGeluConfig

OneTowerConfig = Annotated[
    IdentityConfig | LinearConfig | MlpGeluConfig | DownsampleMlpGeluConfig, Field(discriminator="type")
]
"""Field type that takes the projectors for the features of one tower."""


class ConvFusionConfig(ProjectorConfig):
    """Adds the low-resolution features to a linear map of the high-resolution ones, then projects the sum."""

    type: Literal["conv_fusion"] = "conv_fusion"
    """Tag of the projector."""
    projector: OneTowerConfig = LinearConfig()
    """Projector of the sum, which is half as wide as the encoder's features."""
    use_bias: bool = True
    """Whether the linear map of the high-resolution features has a bias."""

    @property
    def merge(self) -> int:
        return self.projector.merge

    def grid_out(self, grid: Grid) -> Grid:
        return self.projector.grid_out(grid)

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        width = in_dim // 2
        return 2 * grid.area * width**2 + self.projector.forward_flops(grid, in_dim=width, out_dim=out_dim)

    def check(self, *, in_dim: int, out_dim: int) -> None:
        if in_dim % 2:
            raise ConfigError(
                f"projector {self.type!r} with encoder width {in_dim}",
                rule="the width is even: half of it belongs to one tower",
                remedy="use an encoder of two towers of the same width",
            )
        self.projector.check(in_dim=in_dim // 2, out_dim=out_dim)

    @model_validator(mode="after")
    def _check(self) -> ConvFusionConfig:
        if getattr(self.projector, "token_pooling", False) or getattr(self.projector, "pool_first", False):
            raise ConfigError(
                f"token pooling in projector {self.projector.type!r} of 'conv_fusion'",
                rule="token pooling stands first in the official code, where it cannot take two towers",
                remedy="drop it, or merge features with 'downsample_mlp_gelu'",
            )
        return self


@projectors.register(ConvFusionConfig)
class ConvFusion(Projector):
    """Linear map of the first half of the channels plus the second half, then the projector of the sum."""

    config: ConvFusionConfig

    def __init__(self, config: ConvFusionConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.fusion_layer = Linear(in_dim // 2, in_dim // 2, bias=config.use_bias)
        self.projector = projectors.build(config.projector, in_dim=in_dim // 2, out_dim=out_dim)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        high_NYXW, low_NYXW = x_NYXW.chunk(2, dim=-1)
        return self.projector(self.fusion_layer(high_NYXW) + low_NYXW)
