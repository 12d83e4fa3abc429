"""What a vision model of another library makes of a tile."""

from __future__ import annotations

from typing import NamedTuple

from vlkit.notation import Grid


class Features(NamedTuple):
    """Size and order of the features of a tile.

    Args:
        width: of a feature.
        grid: rows and columns.
        prefix: tokens in front of the patches, such as class and register tokens.
    """

    width: int
    grid: Grid
    prefix: int
