"""Tiling: which resolution a picture is fitted to, where it lies in it, and how it is cut. Integers only.

Paper: arXiv:2412.10302, section 2 ("dynamic tiling").
"""

from vlkit.tiling.boxes import Box, fit_inside, fit_inside_floor, split_into_tiles, tile_grid
from vlkit.tiling.candidates import official_resolutions, resolutions_up_to
from vlkit.tiling.choice import select_best_resolution, select_closest_ratio
from vlkit.tiling.tiling import Fit, Tiling

__all__ = [
    "Box",
    "Fit",
    "Tiling",
    "fit_inside",
    "fit_inside_floor",
    "official_resolutions",
    "resolutions_up_to",
    "select_best_resolution",
    "select_closest_ratio",
    "split_into_tiles",
    "tile_grid",
]
