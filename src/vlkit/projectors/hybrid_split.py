"""Projectors for an encoder with two towers whose features stand side by side, the high-resolution ones first.

Paper: DeepSeek-VL arXiv:2403.05525, section 2.1 ("vision-language adaptor"); the uneven split is from DeepSeek-OCR's
code.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from vlkit.config import Depth, Width
from vlkit.errors import ConfigError
from vlkit.nn.linear import Linear
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, ProjectorConfig, projectors
from vlkit.projectors.mlp import gelu_layers


class Split(NamedTuple):
    """Widths of the features of the high-resolution tower and of the other one."""

    high: int
    low: int


class HybridSplitConfig(ProjectorConfig):
    """Base of the projectors with one linear layer per tower: their outputs stand side by side, then `depth - 1` times
    GELU and a linear layer."""

    depth: Depth = 2
    """Number of linear layers, those of the two towers counting as one."""
    use_bias: bool = True
    """Whether the linear layers have biases."""

    def split_in(self, in_dim: int) -> Split:
        """Widths of the two towers."""
        raise NotImplementedError(f"{type(self).__name__} defines split_in(in_dim)")

    def split_out(self, out_dim: int) -> Split:
        """Widths that their features are projected to."""
        raise NotImplementedError(f"{type(self).__name__} defines split_out(out_dim)")

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        before, after = self.split_in(in_dim), self.split_out(out_dim)
        weights = before.high * after.high + before.low * after.low + (self.depth - 1) * out_dim**2
        return 2 * grid.area * weights


class LowHighHybridSplitMlpGeluConfig(HybridSplitConfig):
    """Two towers of the same width, each with half of the decoder's width; the defaults are DeepSeek-VL 7B's."""

    type: Literal["low_high_hybrid_split_mlp_gelu"] = "low_high_hybrid_split_mlp_gelu"
    """Tag of the projector."""

    def split_in(self, in_dim: int) -> Split:
        return Split(in_dim // 2, in_dim // 2)

    def split_out(self, out_dim: int) -> Split:
        return Split(out_dim // 2, out_dim // 2)

    def check(self, *, in_dim: int, out_dim: int) -> None:
        if in_dim % 2 or out_dim % 2:
            raise ConfigError(
                f"projector {self.type!r} between encoder width {in_dim} and decoder width {out_dim}",
                rule="both widths are even: half of either belongs to one tower",
                remedy="use the projector 'hybrid_split_feature_mlp_gelu', whose halves may differ",
            )


class HybridSplitFeatureMlpGeluConfig(HybridSplitConfig):
    """Two towers of any widths, with any shares of the decoder's width."""

    type: Literal["hybrid_split_feature_mlp_gelu"] = "hybrid_split_feature_mlp_gelu"
    """Tag of the projector."""
    high_width: Width
    """Width of the features of the high-resolution tower, which stand first; the rest belongs to the other one."""
    channel_div: float = Field(default=0.5, gt=0, lt=1)
    """Share of the decoder's width that the high-resolution tower is projected to, rounded down."""

    def split_in(self, in_dim: int) -> Split:
        return Split(self.high_width, in_dim - self.high_width)

    def split_out(self, out_dim: int) -> Split:
        high = int(out_dim * self.channel_div)
        return Split(high, out_dim - high)

    def check(self, *, in_dim: int, out_dim: int) -> None:
        if min(*self.split_in(in_dim), *self.split_out(out_dim)) < 1:
            raise ConfigError(
                f"high_width {self.high_width} of encoder width {in_dim}, channel_div {self.channel_div} of decoder "
                f"width {out_dim}",
                rule="either tower has at least one channel before and after the projector",
                remedy="make high_width smaller than the encoder's width, or channel_div larger",
            )


@projectors.register(LowHighHybridSplitMlpGeluConfig)
@projectors.register(HybridSplitFeatureMlpGeluConfig)
class HybridSplitMlpGelu(Projector):
    """A layer per tower, then layers on both; parameter names follow the released checkpoints."""

    config: HybridSplitConfig

    def __init__(self, config: HybridSplitConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        before, after = config.split_in(in_dim), config.split_out(out_dim)
        self.high_up_proj = Linear(before.high, after.high, bias=config.use_bias)
        self.low_up_proj = Linear(before.low, after.low, bias=config.use_bias)
        self.layers = gelu_layers(out_dim, count=config.depth - 1, bias=config.use_bias)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        high_NYXW, low_NYXW = x_NYXW.split(self.config.split_in(self.in_dim), dim=-1)
        return self.layers(torch.cat([self.high_up_proj(high_NYXW), self.low_up_proj(low_NYXW)], dim=-1))
