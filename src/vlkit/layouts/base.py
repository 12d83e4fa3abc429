"""The layout contract: a layout is a plan of integers, followed by one gather.

The plan of an image with `r x c` tiles and a `Y x X` grid per tile is a `LongTensor[L]`. Its values address, in this
order, the features of the global view, the features of the tiles row by row, and the layout's learned separators.
Token count, arrangement and the way back from a token to its pixels all follow from the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

import torch
from pydantic import SerializeAsAny
from torch import Tensor, nn

from vlkit.config import Config
from vlkit.errors import ShapeError
from vlkit.notation import Grid
from vlkit.registry import Registry


class LayoutConfig(Config):
    """Base of layout configs: says which separators there are and where every feature goes."""

    type: str
    """Tag of the layout."""

    def separators(self) -> dict[str, int]:
        """Learned vectors that the layout adds: name to number of vectors, in the order of their addresses."""
        return {}

    def arrange(self, tiles: Grid, grid: Grid) -> Tensor:
        """Plan `LongTensor[L]` of one image; separators are addressed from `(1 + tiles.area) * grid.area` on."""
        raise NotImplementedError(f"{type(self).__name__} defines arrange(tiles, grid)")

    def check(self, tile_grids: Sequence[Grid]) -> None:
        """Refuse tile grids that this layout cannot arrange.

        Raises:
            ConfigError: naming the grid, the rule and the remedy.
        """

    def plan(self, tiles: Grid, grid: Grid) -> Tensor:
        """Cached plan `LongTensor[L]` of one image with `tiles` and `grid` features per tile; not to be changed."""
        return _cached_plan(self, Grid(*tiles), Grid(*grid))

    def count(self, tiles: Grid, grid: Grid) -> int:
        """Number of tokens that the image takes."""
        return len(self.plan(tiles, grid))


@lru_cache(maxsize=4096)
def _cached_plan(config: LayoutConfig, tiles: Grid, grid: Grid) -> Tensor:
    with torch.device("cpu"):
        return config.arrange(tiles, grid)


class Layout(nn.Module):
    """Arranges the features of a batch of images into their token sequences.

    Args:
        config: the layout's plan and separators.
        dim: width D of the features.
    """

    def __init__(self, config: LayoutConfig, *, dim: int) -> None:
        super().__init__()
        self.config, self.dim = config, dim
        for name, vectors in config.separators().items():
            self.register_parameter(name, nn.Parameter(torch.empty(vectors, dim)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the separators anew: normal with standard deviation D^-0.5, as upstream."""
        for vectors in self.parameters():
            nn.init.normal_(vectors, std=self.dim**-0.5)

    def forward(self, x_NYXD: Tensor, tile_grids: Sequence[Grid]) -> Tensor:
        """Image tokens of the batch, image after image.

        Args:
            x_NYXD: float[N, Y, X, D], for every image its global view, then its tiles row by row.
            tile_grids: tile rows and columns of each image; N is the sum of `1 + r * c`.

        Returns:
            x_LD: float[L, D], L being the sum of the images' counts.

        Raises:
            ShapeError: if the number of tiles or the width does not fit.
        """
        views, grid = [1 + tiles.area for tiles in tile_grids], Grid(*x_NYXD.shape[1:3])
        if sum(views) != len(x_NYXD) or x_NYXD.shape[-1] != self.dim:
            raise ShapeError(
                f"{len(x_NYXD)} views of width {x_NYXD.shape[-1]} for tile grids {[str(t) for t in tile_grids]}",
                rule=f"each image has one global view and r*c tiles ({sum(views)} in all) of width {self.dim}",
            )
        index_L = self.batch_plan(tile_grids, grid).to(x_NYXD.device)
        separators = [vectors.to(x_NYXD.dtype) for vectors in self.parameters()]
        return torch.cat([x_NYXD.flatten(0, 2), *separators]).index_select(0, index_L)

    def batch_plan(self, tile_grids: Sequence[Grid], grid: Grid) -> Tensor:
        """Plan `LongTensor[L]` of the whole batch, addressing the features of all images, then the separators."""
        if not tile_grids:
            return torch.empty(0, dtype=torch.long, device="cpu")
        features = [(1 + tiles.area) * grid.area for tiles in tile_grids]
        plans = [self.config.plan(tiles, grid) for tiles in tile_grids]
        lengths = torch.tensor([len(plan) for plan in plans], device="cpu")
        own, total = torch.tensor(features, device="cpu"), sum(features)
        first = own.cumsum(0) - own
        plan_L = torch.cat(plans)
        own_L, first_L = own.repeat_interleave(lengths), first.repeat_interleave(lengths)
        return plan_L + torch.where(plan_L < own_L, first_L, total - own_L)


layouts: Registry[LayoutConfig, Layout] = Registry("layouts", LayoutConfig)
AnyLayout = Annotated[SerializeAsAny[LayoutConfig], layouts]
"""Field type that takes any registered layout."""
