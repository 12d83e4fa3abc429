"""Lists of resolutions that a picture may be fitted to, the size of one tile first."""

from __future__ import annotations

TILE_COUNTS = (
    *((1, 1), (1, 2), (2, 1), (1, 3), (3, 1), (1, 4), (4, 1), (2, 2), (1, 5), (5, 1), (1, 6), (6, 1)),
    *((2, 3), (3, 2), (1, 7), (7, 1), (1, 8), (8, 1), (2, 4), (4, 2), (1, 9), (9, 1), (3, 3)),
)
"""Tiles across and down of DeepSeek-VL2's candidate resolutions, in their order."""


def official_resolutions(side: int) -> tuple[tuple[int, int], ...]:
    """DeepSeek-VL2's candidate resolutions for square tiles of `side` pixels: all with up to nine tiles."""
    return tuple((across * side, down * side) for across, down in TILE_COUNTS)


def resolutions_up_to(most: int, tile_size: tuple[int, int], *, least: int = 1) -> tuple[tuple[int, int], ...]:
    """All resolutions of `least` to `most` tiles, those of few tiles first; the tile itself always leads.

    InternVL lists them so (arXiv:2404.16821, section 3.2), and DeepSeek-OCR with `least` 2 and `most` 6.

    Args:
        most: most tiles of a picture.
        tile_size: width and height of a tile in pixels.
        least: least tiles of a picture that is cut.
    """
    counts = [(across, down) for across in range(1, most + 1) for down in range(1, most // across + 1)]
    cut = sorted((pair for pair in counts if pair[0] * pair[1] >= max(least, 2)), key=lambda pair: pair[0] * pair[1])
    return tuple((across * tile_size[0], down * tile_size[1]) for across, down in [(1, 1), *cut])
