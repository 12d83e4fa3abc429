"""The way back: what every token of an arranged image stands for."""

from __future__ import annotations

from dataclasses import dataclass

from vlkit.layouts.base import LayoutConfig
from vlkit.notation import Grid


@dataclass(frozen=True)
class TokenSource:
    """Where one image token comes from: a feature of a view, or a learned separator.

    Args:
        view: 0 for the global view, 1 and up for the tiles row by row; None for a separator.
        row: feature row in the view; for a separator its number among the vectors of that name.
        col: feature column in the view; 0 for a separator.
        separator: name of the learned vectors, None for a feature.
    """

    view: int | None
    row: int
    col: int
    separator: str | None = None


def trace(layout: LayoutConfig, tiles: Grid, grid: Grid, overview: Grid | None = None) -> list[TokenSource]:
    """Source of each of the `layout.count(tiles, grid, overview)` tokens of one image."""
    overview = overview or grid
    separators = [
        TokenSource(None, number, 0, name) for name, vectors in layout.separators().items() for number in range(vectors)
    ]
    features = layout.features(tiles, grid, overview)

    def source(address: int) -> TokenSource:
        if address >= features:
            return separators[address - features]
        if address < overview.area:
            return TokenSource(0, *divmod(address, overview.cols))
        tile, cell = divmod(address - overview.area, grid.area)
        return TokenSource(1 + tile, *divmod(cell, grid.cols))

    return [source(address) for address in layout.plan(tiles, grid, overview).tolist()]
