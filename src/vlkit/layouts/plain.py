"""The "plain" layout: features one after the other, without separators, as in LLaVA, InternVL and DeepSeek-VL."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vlkit.layouts.base import Layout, LayoutConfig, layouts
from vlkit.notation import Grid


class PlainConfig(LayoutConfig):
    """View after view, each row by row; nothing is added.

    Tokens: `Y' * X'` for the global view and `r*c * Y*X` for the tiles, which a picture that is not cut lacks unless
    `single_tile`. Papers: arXiv:2304.08485 (one view), arXiv:2404.16821 (tiles, then the thumbnail).
    """

    type: Literal["plain"] = "plain"
    """Tag of the layout."""
    global_view: Literal["head", "tail"] = "head"
    """Whether the global view stands before or after the tiles."""
    single_tile: bool = False
    """Whether a picture that is not cut has its one tile beside the global view, though both show the same."""

    def tile_count(self, tiles: Grid) -> int:
        return tiles.area if tiles.area > 1 or self.single_tile else 0

    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        features = torch.arange(self.features(tiles, grid, overview))
        return features.roll(-overview.area) if self.global_view == "tail" else features


@layouts.register(PlainConfig)
class Plain(Layout):
    """Passes the features on in their order; it has no parameters."""
