"""DeepSeek-OCR's layout: rows of the tiles, rows of the global view, one separator at the very end."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vlkit.layouts.base import Layout, LayoutConfig, layouts
from vlkit.layouts.rows import end_rows, global_view, stitched
from vlkit.notation import Grid


class TilesFirstConfig(LayoutConfig):
    """Stitched tiles, then the global view, every row ended by a newline; a picture that is not cut has no tiles.

    Tokens: `(r*Y) * (c*X + 1)` if there is more than one tile, and `Y' * (X' + 1) + 1` for a global view of
    `Y' x X'`. Paper: arXiv:2510.18234; the order is that of its code.
    """

    type: Literal["deepseek_ocr"] = "deepseek_ocr"
    """Tag of the layout."""

    def separators(self) -> dict[str, int]:
        return {"image_newline": 1, "view_separator": 1}

    def tile_count(self, tiles: Grid) -> int:
        return tiles.area if tiles.area > 1 else 0

    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        newline = self.features(tiles, grid, overview)
        views = [global_view(overview)] if tiles.area == 1 else [stitched(tiles, grid, overview), global_view(overview)]
        return torch.cat([*(end_rows(view, newline) for view in views), torch.tensor([newline + 1])])


@layouts.register(TilesFirstConfig)
class TilesFirst(Layout):
    """Arranges features as rows; parameters `image_newline` and `view_separator`, float[1, D] each."""
