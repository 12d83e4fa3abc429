"""The "2D" layout: every row of features ends in a newline, one separator stands between the two views."""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor

from vlkit.layouts.base import Layout, LayoutConfig, layouts
from vlkit.notation import Grid


class Layout2DConfig(LayoutConfig):
    """Global view and stitched tiles as pictures of tokens.

    Tokens: `Y * (X + 1) + 1 + (r*Y) * (c*X + 1)`. Paper: arXiv:2412.10302, section 2.
    """

    type: Literal["2D"] = "2D"
    """Tag of the layout."""
    global_view: Literal["head", "tail"] = "head"
    """Whether the global view stands before or after the tiles."""

    def separators(self) -> dict[str, int]:
        return {"image_newline": 1, "view_separator": 1}

    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        newline = self.features(tiles, grid, overview)
        separator = torch.tensor([newline + 1])
        first, second = (end_rows(view, newline) for view in (global_view(overview), stitched(tiles, grid, overview)))
        if self.global_view == "tail":
            first, second = second, first
        return torch.cat([first, separator, second])


def global_view(overview: Grid) -> Tensor:
    """Addresses of the global view's features, int64[Y, X]."""
    return rearrange(torch.arange(overview.area), "(y x) -> y x", y=overview.rows)


def stitched(tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
    """Addresses of the features of all tiles as one picture, int64[r * Y, c * X]."""
    features = overview.area + torch.arange(tiles.area * grid.area)
    return rearrange(features, "(r c y x) -> (r y) (c x)", r=tiles.rows, c=tiles.cols, y=grid.rows)


def end_rows(view_YX: Tensor, newline: int) -> Tensor:
    """Addresses row by row, each row followed by `newline`."""
    return torch.cat([view_YX, view_YX.new_full((len(view_YX), 1), newline)], dim=1).flatten()


@layouts.register(Layout2DConfig)
class Layout2D(Layout):
    """Arranges features as rows; parameters `image_newline` and `view_separator`, float[1, D] each."""
