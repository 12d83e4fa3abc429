"""Tiling: which resolution a picture is fitted to, where it lies in it, and how it is cut. Integers only.

Paper: arXiv:2412.10302, section 2 ("dynamic tiling").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vlkit.errors import ConfigError, InputError
from vlkit.notation import Grid, Size


class Box(NamedTuple):
    """Rectangle in pixels: left and upper edge inside, right and lower edge outside."""

    left: int
    upper: int
    right: int
    lower: int


def select_best_resolution(
    image_size: tuple[int, int], candidate_resolutions: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """Candidate that keeps most of the picture's pixels, then wastes least area; the first of equals wins.

    Args:
        image_size: width and height of the picture.
        candidate_resolutions: widths and heights to choose from.

    Returns:
        Width and height of the chosen candidate.

    Raises:
        InputError: if the picture is empty or there is no candidate.
    """
    width, height = image_size
    if width < 1 or height < 1:
        raise InputError(f"the image is {width}x{height} pixels", rule="width and height are at least 1")
    if not candidate_resolutions:
        raise InputError("candidate_resolutions is empty", rule="at least one resolution is needed to tile a picture")

    def merit(candidate: tuple[int, int]) -> tuple[int, int]:
        scale = min(candidate[0] / width, candidate[1] / height)
        effective = min(int(width * scale) * int(height * scale), width * height)
        wasted = candidate[0] * candidate[1] - effective
        return effective, -wasted

    return max(candidate_resolutions, key=merit)


def split_into_tiles(resolution: tuple[int, int], tile_size: tuple[int, int]) -> tuple[Box, ...]:
    """Boxes that cut `resolution` into tiles of `tile_size` (both width and height), row by row.

    Raises:
        ConfigError: if the resolution is no multiple of the tile size.
    """
    rows, cols = tile_grid(resolution, tile_size)
    width, height = tile_size
    return tuple(
        Box(col * width, row * height, (col + 1) * width, (row + 1) * height)
        for row in range(rows)
        for col in range(cols)
    )


def tile_grid(resolution: tuple[int, int], tile_size: tuple[int, int]) -> Grid:
    """Rows and columns of tiles that `resolution` (width, height) is cut into.

    Raises:
        ConfigError: if the resolution is no multiple of the tile size.
    """
    (width, height), (tile_width, tile_height) = resolution, tile_size
    if width < 1 or height < 1 or width % tile_width or height % tile_height:
        raise ConfigError(
            f"resolution {width}x{height} cannot be cut into tiles of {tile_width}x{tile_height}",
            rule="a candidate resolution is a whole number of tiles in both directions",
            remedy=f"use multiples of {tile_width} for the width and of {tile_height} for the height",
        )
    return Grid(height // tile_height, width // tile_width)


def fit_inside(image_size: tuple[int, int], frame: tuple[int, int]) -> Box:
    """Where a picture lies in `frame` after it is scaled to fit and centred, as `PIL.ImageOps.pad` places it.

    The box has no area if the picture is so thin that its scaled side rounds to zero.
    """
    (width, height), (frame_width, frame_height) = image_size, frame
    scaled = Size(frame_width, frame_height)
    if width / height > frame_width / frame_height:
        scaled = Size(frame_width, round(height / width * frame_width))
    elif width / height < frame_width / frame_height:
        scaled = Size(round(width / height * frame_height), frame_height)
    left, upper = round((frame_width - scaled.width) * 0.5), round((frame_height - scaled.height) * 0.5)
    return Box(left, upper, left + scaled.width, upper + scaled.height)


@dataclass(frozen=True)
class Tiling:
    """How one picture becomes a global view and `grid` tiles.

    Args:
        image_size: width and height of the picture.
        tile_size: width and height of the global view and of each tile.
        resolution: width and height that the picture is fitted to before it is cut.
    """

    image_size: Size
    tile_size: Size
    resolution: Size

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

    def source_box(self, view: int, box: Box) -> Box:
        """Part of the original picture that `box` of a view shows, cut off at the picture's edges.

        Args:
            view: 0 for the global view, 1 and up for the tiles row by row.
            box: rectangle inside that view.
        """
        frame = self.tile_size if view == 0 else self.resolution
        left, upper = (0, 0) if view == 0 else self.boxes[view - 1][:2]
        placed = fit_inside(self.image_size, frame)

        def back(position: int, start: int, stop: int, length: int) -> int:
            inside = min(max(position - start, 0), stop - start)
            return round(inside * length / max(stop - start, 1))

        return Box(
            back(left + box.left, placed.left, placed.right, self.image_size.width),
            back(upper + box.upper, placed.upper, placed.lower, self.image_size.height),
            back(left + box.right, placed.left, placed.right, self.image_size.width),
            back(upper + box.lower, placed.upper, placed.lower, self.image_size.height),
        )
