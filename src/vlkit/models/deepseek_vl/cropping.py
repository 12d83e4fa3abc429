"""DeepSeek-VL does not cut pictures: each is scaled into a square, and the rest of it filled."""

from __future__ import annotations

from vlkit.cropping import CropNever, Cropping

MIN_SIZE = 14
"""Shortest side in pixels that the released processors scale a picture to."""


def whole_pictures(min_size: int = MIN_SIZE) -> Cropping:
    """The rule for pictures of which no side may become shorter than `min_size` pixels."""
    return Cropping(policy=CropNever(), fit="pad_floor", global_fit="pad_floor", least_side=min_size)
