"""Layouts put to the test: on which pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vlkit.errors import ConfigError, InputError
from vlkit.layouts.base import Layout, LayoutConfig, layouts
from vlkit.notation import Grid
from vlkit.testing.building_laws import BUILDING_LAWS
from vlkit.testing.comparing import normal
from vlkit.testing.config_laws import CONFIG_LAWS
from vlkit.testing.forward_laws import FORWARD_LAWS
from vlkit.testing.layout_laws import LAYOUT_LAWS, PLAN_LAWS
from vlkit.testing.module_subject import ModuleSubject
from vlkit.testing.start_laws import START_LAWS
from vlkit.testing.subject import Options
from vlkit.testing.tool_laws import TOOL_LAWS

TILES = tuple(map(Grid._make, [(1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (2, 3), (3, 2), (3, 3)]))
VIEWS = tuple(
    (Grid(*grid), Grid(*overview))
    for grid, overview in [
        ((1, 1), (1, 1)),
        ((2, 2), (2, 2)),
        ((2, 3), (2, 3)),
        ((3, 1), (3, 1)),
        ((2, 3), (3, 3)),
        ((3, 2), (2, 2)),
    ]
)
"""Grids of a tile and of the global view; where they differ the global views stand apart."""


class LayoutSubject(ModuleSubject):
    """A layout.

    Args:
        target: a tag, a config class, a config, or a layout.
        options: as in `Options`.
        dim: width D of the features; None: the layout's, or 8.
    """

    kind = "layout"
    registry, contract = layouts, Layout
    laws = (*CONFIG_LAWS, *PLAN_LAWS, *START_LAWS, *LAYOUT_LAWS, *BUILDING_LAWS, *FORWARD_LAWS, *TOOL_LAWS)
    x_name = "the features"
    config: LayoutConfig

    def __init__(self, target: Any, options: Options, *, dim: int | None = None) -> None:
        super().__init__(target, options)
        self.dim: int = self.given.dim if self.given is not None else dim or 8
        self.grid = Grid(2, 3)
        if not self.tiles:
            raise InputError(
                f"{self.name} takes none of the tile grids {', '.join(map(str, TILES))}",
                rule="a layout takes a picture of one tile, at least",
            )

    @property
    def context(self) -> Mapping[str, Any]:
        return {"dim": self.dim}

    @property
    def tiles(self) -> list[Grid]:
        """Tile grids of pictures that the config allows, from small to large."""
        return [tiles for tiles in TILES if self.takes(tiles)]

    @property
    def main_tiles(self) -> Grid:
        """Tile grid that most laws are tested on."""
        return self.tiles[: TILES.index(Grid(2, 2)) + 1][-1]

    def takes(self, tiles: Grid) -> bool:
        """Whether the config allows a tile grid."""
        try:
            self.config.check([tiles])
        except ConfigError:
            return False
        return True

    def views(self, tiles: Grid) -> int:
        """Number of views of a picture that have a place."""
        return 1 + self.config.tile_count(tiles)

    def x(self, samples: int = 2, seed: int = 0, dtype: torch.dtype | None = None) -> Tensor:
        return normal(seed, samples * self.views(self.main_tiles), *self.grid, self.dim, dtype=dtype or self.dtype)

    def output(self, part: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = part(x, [self.main_tiles] * (len(x) // self.views(self.main_tiles)))
        return out

    @property
    def view_grids(self) -> tuple[tuple[Grid, Grid], ...]:
        """Grids of a tile and of its global view."""
        return VIEWS

    @property
    def cases(self) -> list[tuple[Grid, Grid, Grid, str]]:
        """Tiles, grid and global view of pictures, and how messages call them."""
        return [
            (tiles, grid, overview, f"a picture of {tiles} tiles with grids of {grid} and a global view of {overview}")
            for grid, overview in self.view_grids
            for tiles in self.tiles
        ]

    def arranged(
        self,
        part: nn.Module,
        pictures: list[Grid],
        grid: Grid,
        overview: Grid,
        *,
        first: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """Tokens of pictures whose features depend on the number of their view alone; `first` are views before them."""
        images, before = first
        counts = [self.config.tile_count(tiles) for tiles in pictures]
        views = [normal(1000 + images + number, *overview, self.dim, dtype=self.dtype) for number in range(len(counts))]
        tiles = [normal(before + number, *grid, self.dim, dtype=self.dtype) for number in range(sum(counts))]
        out: Tensor
        if grid != overview:
            empty = torch.zeros(0, *grid, self.dim, dtype=self.dtype)
            out = part(torch.cat([empty, *(tile[None] for tile in tiles)]), pictures, torch.stack(views))
            return out
        left, together = iter(tiles), []
        for view, number in zip(views, counts):
            together += [view, *(next(left) for _ in range(number))]
        out = part(torch.stack(together), pictures)
        return out
