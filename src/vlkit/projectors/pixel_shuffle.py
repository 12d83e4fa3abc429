"""Pixel shuffle: blocks of features become channels, without padding.

Papers: InternVL 1.5 arXiv:2404.16821, section 3.1 (norm, then two layers); Idefics3 arXiv:2408.12637, section 2.2 (one
layer, no norm).
"""

from __future__ import annotations

from typing import Literal

from einops import rearrange
from torch import Tensor

from vlkit.config import Count, Depth
from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, ProjectorConfig, projectors
from vlkit.projectors.mlp import gelu_mlp, mlp_weights

PATTERNS = {"place": "n (y a) (x b) w -> n y x (a b w)", "channel": "n (y a) (x b) w -> n y x (w a b)"}


class PixelShuffleConfig(ProjectorConfig):
    """Merges blocks of features into one, then `depth` linear layers with GELU; the defaults are InternVL's."""

    type: Literal["pixel_shuffle"] = "pixel_shuffle"
    """Tag of the projector."""
    scale_factor: Count = 2
    """Side of the merged block; it divides the rows and the columns of the grid."""
    order: Literal["place", "channel"] = "place"
    """What the merged channels are sorted by: `place` puts one feature after the other (InternVL, Idefics3), `channel`
    one channel of all features after the other (DeepSeek-VL2)."""
    norm: bool = True
    """Whether the merged features are normalised."""
    depth: Depth = 2
    """Number of linear layers: the first leads to the decoder's width."""
    use_bias: bool = True
    """Whether the linear layers have biases."""

    @property
    def merge(self) -> int:
        return self.scale_factor

    def grid_out(self, grid: Grid) -> Grid:
        return Grid(grid.rows // self.merge, grid.cols // self.merge)

    def check_grid(self, grid: Grid) -> None:
        if grid.rows % self.merge or grid.cols % self.merge:
            raise ConfigError(
                f"a grid of {grid} features with scale_factor {self.scale_factor}",
                rule="the scale factor divides rows and columns",
                remedy=f"choose a tile size with a multiple of {self.merge} patches along each side, or the projector "
                "'downsample_mlp_gelu', which pads",
            )

    def widths(self, *, in_dim: int, out_dim: int) -> list[int]:
        """Widths that the linear layers connect, from the merged features to the decoder."""
        return [in_dim * self.merge**2, *[out_dim] * self.depth]

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        return 2 * self.grid_out(grid).area * mlp_weights(self.widths(in_dim=in_dim, out_dim=out_dim))


@projectors.register(PixelShuffleConfig)
class PixelShuffle(Projector):
    """Space to depth, then norm and linear layers, in one sequence as in InternVL's checkpoints."""

    config: PixelShuffleConfig

    def __init__(self, config: PixelShuffleConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.layers = gelu_mlp(config.widths(in_dim=in_dim, out_dim=out_dim), bias=config.use_bias, norm=config.norm)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_grid(x_NYXW)
        side = self.config.merge
        return self.layers(rearrange(x_NYXW, PATTERNS[self.config.order], a=side, b=side))
