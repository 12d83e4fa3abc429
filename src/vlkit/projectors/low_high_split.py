"""Projector for two towers that share no layer: GELU and linear layers on either half of the channels.

Source: DeepSeek-OCR's code, arXiv:2510.18234.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vlkit.config import Depth
from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, ProjectorConfig, projectors
from vlkit.projectors.mlp import gelu_layers


class LowHighSplitMlpGeluConfig(ProjectorConfig):
    """`depth - 1` times GELU and a linear layer on the features of either tower, which then stand side by side."""

    type: Literal["low_high_split_mlp_gelu"] = "low_high_split_mlp_gelu"
    """Tag of the projector."""
    depth: Depth = 2
    """Number of linear layers plus one; 1 leaves the features as they are."""
    use_bias: bool = True
    """Whether the linear layers have biases."""

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        return 2 * grid.area * 2 * (self.depth - 1) * (out_dim // 2) ** 2

    def check(self, *, in_dim: int, out_dim: int) -> None:
        if in_dim != out_dim or in_dim % 2:
            raise ConfigError(
                f"projector {self.type!r} between encoder width {in_dim} and decoder width {out_dim}",
                rule="the widths are equal and even, since no layer leads from one width to another",
                remedy="use the projector 'low_high_hybrid_split_mlp_gelu'",
            )


@projectors.register(LowHighSplitMlpGeluConfig)
class LowHighSplitMlpGelu(Projector):
    """Layers on the first half of the channels, others on the second half."""

    config: LowHighSplitMlpGeluConfig

    def __init__(self, config: LowHighSplitMlpGeluConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.high_layers = gelu_layers(out_dim // 2, count=config.depth - 1, bias=config.use_bias)
        self.low_layers = gelu_layers(out_dim // 2, count=config.depth - 1, bias=config.use_bias)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        high_NYXW, low_NYXW = x_NYXW.chunk(2, dim=-1)
        return torch.cat([self.high_layers(high_NYXW), self.low_layers(low_NYXW)], dim=-1)
