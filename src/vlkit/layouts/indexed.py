"""The "1D" layout: every view is a plain sequence of features behind its tile indicator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from vlkit.config import Count
from vlkit.errors import ConfigError
from vlkit.layouts.base import Layout, LayoutConfig, layouts
from vlkit.notation import Grid


class Layout1DConfig(LayoutConfig):
    """Views one after the other, each led by a learned vector that tells which one it is.

    Tokens: `(1 + r*c) * (Y*X + 1)`. Indicator 0 belongs to the global view, 1 and up to the tiles row by row.
    """

    type: Literal["1D"] = "1D"
    """Tag of the layout."""
    global_view: Literal["head", "tail"] = "head"
    """Whether the global view stands before or after the tiles."""
    max_tiles: Count = 23
    """Most tiles that an image can have; there are `max_tiles + 1` indicators (upstream: one per candidate resolution,
    23 in the released configs)."""

    def separators(self) -> dict[str, int]:
        return {"tile_indicators": self.max_tiles + 1}

    def check(self, tile_grids: Sequence[Grid]) -> None:
        for tiles in tile_grids:
            if tiles.area > self.max_tiles:
                raise ConfigError(
                    f"a candidate resolution gives {tiles} = {tiles.area} tiles, the 1D layout has indicators for "
                    f"{self.max_tiles}",
                    rule="every tile of every candidate resolution needs an indicator",
                    remedy=f"set max_tiles to {tiles.area} or more, or drop that candidate resolution",
                )

    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        self.check([tiles])
        indicator = self.features(tiles, grid, overview)
        global_view = torch.cat([torch.tensor([indicator]), torch.arange(overview.area)])
        indicators = torch.arange(indicator + 1, indicator + 1 + tiles.area)
        features = torch.arange(overview.area, indicator).view(tiles.area, grid.area)
        views = torch.cat([indicators[:, None], features], dim=1).flatten()
        return torch.cat([global_view, views] if self.global_view == "head" else [views, global_view])


@layouts.register(Layout1DConfig)
class Layout1D(Layout):
    """Arranges features view by view; parameter `tile_indicators`, float[max_tiles + 1, D]."""
