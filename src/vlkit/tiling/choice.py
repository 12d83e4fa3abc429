"""Which of the candidate resolutions a picture is fitted to."""

from __future__ import annotations

from collections.abc import Sequence

from vlkit.errors import InputError


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
    _require_choice(image_size, candidate_resolutions)

    def merit(candidate: tuple[int, int]) -> tuple[int, int]:
        scale = min(candidate[0] / width, candidate[1] / height)
        effective = min(int(width * scale) * int(height * scale), width * height)
        wasted = candidate[0] * candidate[1] - effective
        return effective, -wasted

    return max(candidate_resolutions, key=merit)


def select_closest_ratio(
    image_size: tuple[int, int], candidate_resolutions: Sequence[tuple[int, int]], tile_size: tuple[int, int]
) -> tuple[int, int]:
    """Candidate whose tiles across per tile down come closest to the picture's width per height.

    Of equals a later one wins over the one before it if the picture has more than half of its pixels. Paper:
    arXiv:2404.16821, section 3.2 ("dynamic aspect ratio matching").

    Args:
        image_size: width and height of the picture.
        candidate_resolutions: widths and heights to choose from, few tiles first.
        tile_size: width and height of a tile.

    Returns:
        Width and height of the chosen candidate.

    Raises:
        InputError: if the picture is empty or there is no candidate.
    """
    width, height = image_size
    _require_choice(image_size, candidate_resolutions)
    best, least = candidate_resolutions[0], float("inf")
    for candidate in candidate_resolutions:
        across, down = candidate[0] // tile_size[0], candidate[1] // tile_size[1]
        distance = abs(width / height - across / down)
        enough = 2 * width * height > candidate[0] * candidate[1]
        if distance < least or (distance == least and enough):
            best, least = candidate, distance
    return best


def _require_choice(image_size: tuple[int, int], candidate_resolutions: Sequence[tuple[int, int]]) -> None:
    width, height = image_size
    if width < 1 or height < 1:
        raise InputError(f"the image is {width}x{height} pixels", rule="width and height are at least 1")
    if not candidate_resolutions:
        raise InputError("candidate_resolutions is empty", rule="at least one resolution is needed to tile a picture")
