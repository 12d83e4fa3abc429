"""Layouts of other forms than the library's own, and strategies for all of them."""

from typing import Literal

import torch
from hypothesis import strategies as st
from torch import Tensor

from vlkit.layouts import Layout1DConfig, Layout2DConfig, LayoutConfig
from vlkit.notation import Grid


class PlainConfig(LayoutConfig):
    """Features and nothing else, view after view."""

    type: Literal["plain"] = "plain"

    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        return torch.arange((1 + tiles.area) * grid.area)


class BackwardsConfig(LayoutConfig):
    """Every feature follows its right neighbour."""

    type: Literal["backwards"] = "backwards"

    def separators(self) -> dict[str, int]:
        return {"mark": 1}

    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        return torch.arange((1 + tiles.area) * grid.area + 1).flip(0)


class BetweenConfig(LayoutConfig):
    """A mark before every feature, and one vector of three after each view."""

    type: Literal["between"] = "between"

    def separators(self) -> dict[str, int]:
        return {"mark": 1, "part": 3}

    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        views = 1 + tiles.area
        features = torch.arange(views * grid.area).view(views, grid.area)
        marked = torch.stack([torch.full_like(features, features.numel()), features], dim=-1).flatten(1)
        parts = features.numel() + 1 + torch.arange(views)[:, None] % 3
        return torch.cat([marked, parts], dim=1).flatten()


class RowNumbersConfig(LayoutConfig):
    """Every row of every view has an indicator of its own."""

    type: Literal["row_numbers"] = "row_numbers"

    def separators(self) -> dict[str, int]:
        return {"rows": 1000}

    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        rows = torch.arange((1 + tiles.area) * grid.area).view(-1, grid.cols)
        return torch.cat([rows.numel() + torch.arange(len(rows))[:, None], rows], dim=1).flatten()


LAYOUTS: list[LayoutConfig] = [
    Layout2DConfig(),
    Layout2DConfig(global_view="tail"),
    Layout1DConfig(),
    Layout1DConfig(global_view="tail"),
    PlainConfig(),
    BackwardsConfig(),
    BetweenConfig(),
    RowNumbersConfig(),
]

layouts = st.sampled_from(LAYOUTS)
tile_grids = st.builds(Grid, st.integers(1, 9), st.integers(1, 9)).filter(lambda tiles: tiles.area <= 9)
feature_grids = st.builds(Grid, st.integers(1, 14), st.integers(1, 14))
