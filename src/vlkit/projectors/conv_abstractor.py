"""Honeybee's C-Abstractor: convolutions before and after averaging to a grid of tokens.

Paper: arXiv:2312.06742, section 3.3.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn

from vlkit.config import Count, Depth, Width
from vlkit.nn.linear import Linear
from vlkit.nn.regnet import Stage, stage_flops
from vlkit.nn.resize import resize
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, projectors
from vlkit.projectors.mlp import mlp_weights
from vlkit.projectors.target_grid import TargetGridConfig


class ConvAbstractorConfig(TargetGridConfig):
    """Blocks of convolutions, average to `grid`, blocks again, linear layers; the defaults are Honeybee's."""

    type: Literal["conv_abstractor"] = "conv_abstractor"
    """Tag of the projector."""
    grid: tuple[Count, Count] = (12, 12)
    """Rows and columns of tokens, whatever the encoder's are; at most as many as those."""
    positions: tuple[Count, Count] | None = (24, 24)
    """Rows and columns of learned positions, resized to the features' grid and added to them; None: no positions."""
    width: Width = 1024
    """Feature width of the convolutions."""
    blocks: Depth = 3
    """Number of blocks before the average, and again after it."""
    depth: Depth = 2
    """Number of linear layers, with SiLU between them: the first leads to the decoder's width."""
    use_bias: bool = True
    """Whether the linear layers have biases, those of the blocks' gates too."""

    def widths(self, *, out_dim: int) -> list[int]:
        """Widths that the linear layers connect."""
        return [self.width, *[out_dim] * self.depth]

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        out = self.grid_out(grid)
        before = stage_flops(grid, in_dim, self.width, blocks=self.blocks)
        after = stage_flops(out, self.width, self.width, blocks=self.blocks)
        return before + after + 2 * out.area * mlp_weights(self.widths(out_dim=out_dim))


@projectors.register(ConvAbstractorConfig)
class ConvAbstractor(Projector):
    """Positions, convolutions around an average, linear layers; parameter names follow Honeybee's checkpoints."""

    config: ConvAbstractorConfig

    def __init__(self, config: ConvAbstractorConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.pos_emb: nn.Parameter | None = None
        if config.positions is not None:
            self.pos_emb = nn.Parameter(torch.empty(1, Grid(*config.positions).area, in_dim))
            nn.init.trunc_normal_(self.pos_emb, std=0.02)
        self.net = nn.Sequential(
            Stage(in_dim, config.width, blocks=config.blocks, bias=config.use_bias),
            nn.AdaptiveAvgPool2d(config.grid),
            Stage(config.width, config.width, blocks=config.blocks, bias=config.use_bias),
        )
        self.readout = silu_mlp(config.widths(out_dim=out_dim), bias=config.use_bias)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        placed = self.place(x_NYXW, self.require_grid(x_NYXW))
        abstract = self.net(rearrange(placed, "n y x w -> n w y x"))
        return self.readout(rearrange(abstract, "n w y x -> n y x w"))

    def place(self, x_NYXW: Tensor, grid: Grid) -> Tensor:
        """Features with their positions, if there are any."""
        if self.pos_emb is None or self.config.positions is None:
            return x_NYXW
        native = rearrange(self.pos_emb, "1 (y x) w -> 1 y x w", y=self.config.positions[0])
        return x_NYXW + resize(native, grid, mode="bicubic", antialias=True)


def silu_mlp(widths: list[int], *, bias: bool) -> nn.Sequential:
    """Linear layers through `widths` with SiLU between them."""
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(widths):
        layers += [nn.SiLU()] if layers else []
        layers += [Linear(width_in, width_out, bias=bias)]
    return nn.Sequential(*layers)
