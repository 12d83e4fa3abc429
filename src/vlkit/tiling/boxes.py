"""Rectangles in pixels: the tiles of a resolution, and where a picture lies in a frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vlkit.errors import ConfigError
from vlkit.notation import Grid, Size


class Box(NamedTuple):
    """Rectangle in pixels: left and upper edge inside, right and lower edge outside."""

    left: int
    upper: int
    right: int
    lower: int


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
    width, height = _scaled(image_size, frame, round)
    left, upper = round((frame[0] - width) * 0.5), round((frame[1] - height) * 0.5)
    return Box(left, upper, left + width, upper + height)


def fit_inside_floor(image_size: tuple[int, int], frame: tuple[int, int], *, least_side: int = 1) -> Box:
    """Where a picture lies in `frame` after it is scaled to fit and centred, rounded down, as DeepSeek-VL places it.

    Args:
        image_size: width and height of the picture.
        frame: width and height of the frame.
        least_side: shortest side that it is scaled to, for which its ratio is given up; at most the frame's.
    """
    width, height = (
        min(max(side, least_side), most) for side, most in zip(_scaled(image_size, frame, int), frame, strict=True)
    )
    left, upper = (frame[0] - width) // 2, (frame[1] - height) // 2
    return Box(left, upper, left + width, upper + height)


def _scaled(image_size: tuple[int, int], frame: tuple[int, int], whole: Callable[[float], int]) -> Size:
    (width, height), (frame_width, frame_height) = image_size, frame
    if width / height > frame_width / frame_height:
        return Size(frame_width, whole(height / width * frame_width))
    if width / height < frame_width / frame_height:
        return Size(whole(width / height * frame_height), frame_height)
    return Size(frame_width, frame_height)
