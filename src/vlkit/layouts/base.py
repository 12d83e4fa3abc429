"""The layout contract: a layout is a plan of integers, followed by one gather.

The plan of an image with `r x c` tiles and a `Y x X` grid per tile is a `LongTensor[L]`. Its values address, in this
order, the features of the global view, the features of the tiles row by row, and the layout's learned separators. The
global view may have a grid of its own. Token count, arrangement and the way back from a token to its pixels all follow
from the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Annotated

import torch
from pydantic import SerializeAsAny
from torch import Tensor, nn

from vlkit.config import Config
from vlkit.errors import ShapeError
from vlkit.layouts.batch_plan import BatchPlan
from vlkit.notation import Grid
from vlkit.registry import Registry


class LayoutConfig(Config):
    """Base of layout configs: says which separators there are and where every feature goes."""

    type: str
    """Tag of the layout."""

    def separators(self) -> dict[str, int]:
        """Learned vectors that the layout adds: name to number of vectors, in the order of their addresses."""
        return {}

    def tile_count(self, tiles: Grid) -> int:
        """Number of a picture's tiles that have a place in the sequence; tiles without one are not even encoded."""
        return tiles.area

    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        """Plan `LongTensor[L]` of one image; separators are addressed from `features(tiles, grid, overview)` on.

        Args:
            tiles: tile rows and columns.
            grid: feature rows and columns of a tile.
            overview: feature rows and columns of the global view.
        """
        raise NotImplementedError(f"{type(self).__name__} defines arrange(tiles, grid, overview)")

    def check(self, tile_grids: Sequence[Grid]) -> None:
        """Refuse tile grids that this layout cannot arrange.

        Raises:
            ConfigError: naming the grid, the rule and the remedy.
        """

    def features(self, tiles: Grid, grid: Grid, overview: Grid | None = None) -> int:
        """Number of features of one image: those of its global view, then those of the tiles that count."""
        return (overview or grid).area + self.tile_count(tiles) * grid.area

    def plan(self, tiles: Grid, grid: Grid, overview: Grid | None = None) -> Tensor:
        """Cached plan `LongTensor[L]` of one image, not to be changed; `overview` None: as `grid`."""
        return _cached_plan(self, Grid(*tiles), Grid(*grid), Grid(*(overview or grid)))

    def count(self, tiles: Grid, grid: Grid, overview: Grid | None = None) -> int:
        """Number of tokens that the image takes."""
        return len(self.plan(tiles, grid, overview))


@lru_cache(maxsize=4096)
def _cached_plan(config: LayoutConfig, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
    with torch.device("cpu"):
        return config.arrange(tiles, grid, overview)


@lru_cache(maxsize=4096)
def _cached_image_plan(config: LayoutConfig, tiles: Grid, grid: Grid, overview: Grid) -> BatchPlan:
    return BatchPlan.of_image(config.plan(tiles, grid, overview), config.features(tiles, grid, overview))


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

    def forward(self, x_NYXD: Tensor, tile_grids: Sequence[Grid], overviews_NYXD: Tensor | None = None) -> Tensor:
        """Image tokens of the batch, image after image.

        Args:
            x_NYXD: float[N, Y, X, D], for every image its global view, then its tiles row by row; only the tiles if
                the global views are given apart.
            tile_grids: tile rows and columns of each image; of its r * c tiles, `config.tile_count` are there.
            overviews_NYXD: float[images, Y', X', D], global views with a grid of their own.

        Returns:
            x_LD: float[L, D], L being the sum of the images' counts.

        Raises:
            ShapeError: if the number of views or the width does not fit.
        """
        apart = overviews_NYXD is not None
        parts = [x_NYXD] if overviews_NYXD is None else [overviews_NYXD, x_NYXD]
        tiles = sum(map(self.config.tile_count, tile_grids))
        expected = [len(tile_grids), tiles] if apart else [len(tile_grids) + tiles]
        if [len(part) for part in parts] != expected or any(part.shape[-1] != self.dim for part in parts):
            raise ShapeError(
                f"{[len(part) for part in parts]} views of widths {[part.shape[-1] for part in parts]} for tile grids "
                f"{[str(grid) for grid in tile_grids]}",
                rule=f"each image has one global view and r*c tiles ({expected} in all) of width {self.dim}"
                + (", less what the layout drops" if tiles < sum(grid.area for grid in tile_grids) else ""),
            )
        grids = [Grid(*part.shape[1:3]) for part in parts]
        plan = self.batch_plan(tile_grids, grids[-1], grids[0] if apart else None)
        if overviews_NYXD is None or not tile_grids:
            return self.gather(x_NYXD.flatten(0, 2), plan)
        tiles_of_images = x_NYXD.split([self.config.tile_count(tiles) for tiles in tile_grids])
        views = chain.from_iterable(zip(overviews_NYXD.split(1), tiles_of_images, strict=True))
        return self.gather(torch.cat([view.flatten(0, 2) for view in views]), plan)

    def gather(self, x_ND: Tensor, plan: BatchPlan) -> Tensor:
        """Tokens float[L, D] from all features float[N, D] of the batch, which are read once, and the separators."""
        tokens_LD = x_ND.index_select(0, plan.feature_L.to(x_ND.device))
        separators = [vectors.to(x_ND.dtype) for vectors in self.parameters()]
        if not separators:
            return tokens_LD
        places, chosen = plan.place_S.to(x_ND.device), plan.separator_S.to(x_ND.device)
        return tokens_LD.index_copy_(0, places, torch.cat(separators).index_select(0, chosen))

    def batch_plan(self, tile_grids: Sequence[Grid], grid: Grid, overview: Grid | None = None) -> BatchPlan:
        """Plan of the whole batch; the features of each image are those of its global view, then those of its tiles.

        Args:
            tile_grids: tile rows and columns of each image.
            grid: feature rows and columns of a tile.
            overview: those of the global views; None: as `grid`.
        """
        shapes = Grid(*grid), Grid(*(overview or grid))
        plans = {tiles: _cached_image_plan(self.config, tiles, *shapes) for tiles in set(tile_grids)}
        return BatchPlan.join([plans[tiles] for tiles in tile_grids])


layouts: Registry[LayoutConfig, Layout] = Registry(
    "layouts",
    LayoutConfig,
    homes={
        "1D": "vlkit.layouts.indexed",
        "2D": "vlkit.layouts.rows",
        "deepseek_ocr": "vlkit.layouts.tiles_first",
        "plain": "vlkit.layouts.plain",
    },
)
AnyLayout = Annotated[SerializeAsAny[LayoutConfig], layouts]
"""Field type that takes any registered layout."""
