"""The way of one picture into its views: sizes, places and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vlkit.notation import Grid, Size
from vlkit.tiling.boxes import Box, fit_inside, fit_inside_floor, split_into_tiles, tile_grid
from vlkit.tiling.choice import select_best_resolution

Fit: TypeAlias = Literal["pad", "pad_floor", "stretch"]
"""How a picture fills a frame: its sides keep their ratio and the rest is padding, the scaled side being rounded as
Pillow's `ImageOps.pad` does it or, with "pad_floor", down; or they take the frame's."""


@dataclass(frozen=True)
class Tiling:
    """How one picture becomes a global view and `grid` tiles.

    Args:
        image_size: width and height of the picture.
        tile_size: width and height of each tile.
        resolution: width and height that the picture is fitted to before it is cut.
        global_view_size: width and height of the global view; None: those of a tile.
        fit: how the picture fills the resolution.
        global_fit: how it fills the global view.
        least_side: shortest side in pixels that "pad_floor" scales a picture to.
    """

    image_size: Size
    tile_size: Size
    resolution: Size
    global_view_size: Size | None = None
    fit: Fit = "pad"
    global_fit: Fit = "pad"
    least_side: int = 1

    @classmethod
    def choose(
        cls,
        image_size: tuple[int, int],
        candidate_resolutions: Sequence[tuple[int, int]],
        *,
        crop: bool = True,
    ) -> Tiling:
        """Tiling of a picture; the first candidate is the tile size, and the only resolution if `crop` is False."""
        best = select_best_resolution(image_size, candidate_resolutions if crop else candidate_resolutions[:1])
        return cls(Size(*image_size), Size(*candidate_resolutions[0]), Size(*best))

    @property
    def grid(self) -> Grid:
        """Tile rows and columns."""
        return tile_grid(self.resolution, self.tile_size)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Tiles in the fitted picture, row by row."""
        return split_into_tiles(self.resolution, self.tile_size)

    @property
    def overview(self) -> Size:
        """Width and height of the global view."""
        return self.global_view_size or self.tile_size

    @property
    def placed(self) -> Box:
        """Where the picture lies in the resolution that it is fitted to."""
        return self._place(self.resolution, self.fit)

    @property
    def placed_globally(self) -> Box:
        """Where the picture lies in the global view."""
        return self._place(self.overview, self.global_fit)

    def _place(self, frame: Size, fit: Fit) -> Box:
        match fit:
            case "pad":
                return fit_inside(self.image_size, frame)
            case "pad_floor":
                return fit_inside_floor(self.image_size, frame, least_side=self.least_side)
            case "stretch":
                return Box(0, 0, *frame)

    def source_box(self, view: int, box: Box) -> Box:
        """Part of the original picture that `box` of a view shows, cut off at the picture's edges.

        Args:
            view: 0 for the global view, 1 and up for the tiles row by row.
            box: rectangle inside that view.
        """
        left, upper = (0, 0) if view == 0 else self.boxes[view - 1][:2]
        placed = self.placed_globally if view == 0 else self.placed

        def back(position: int, start: int, stop: int, length: int) -> int:
            inside = min(max(position - start, 0), stop - start)
            return round(inside * length / max(stop - start, 1))

        return Box(
            back(left + box.left, placed.left, placed.right, self.image_size.width),
            back(upper + box.upper, placed.upper, placed.lower, self.image_size.height),
            back(left + box.right, placed.left, placed.right, self.image_size.width),
            back(upper + box.lower, placed.upper, placed.lower, self.image_size.height),
        )
