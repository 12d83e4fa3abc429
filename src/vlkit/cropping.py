"""Cropping: whether a picture is cut, into which of the candidate grids, and how it fills them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from vlkit.config import Config, Count
from vlkit.errors import InputError
from vlkit.notation import Size
from vlkit.tiling import Fit, Tiling, select_best_resolution, select_closest_ratio, tile_grid

Resolutions = Sequence[tuple[int, int]]


class CropPolicy(Config):
    """Base of the rules that say which candidates a picture may be fitted to; the first one does not cut it."""

    type: str
    """Tag of the rule."""

    def allowed(self, candidates: Resolutions, *, image_size: Size, images: int) -> Resolutions:
        """Candidates that are left, at least one.

        Args:
            candidates: resolutions, that of one tile first.
            image_size: width and height of the picture.
            images: number of pictures in the prompt.
        """
        raise NotImplementedError(f"{type(self).__name__} defines allowed(candidates, image_size=, images=)")


class CropFewImages(CropPolicy):
    """Pictures are cut if there are few of them; DeepSeek-VL2's rule."""

    type: Literal["few_images"] = "few_images"
    """Tag of the rule."""
    most_images: Count = 2
    """Most pictures of a prompt that are cut."""

    def allowed(self, candidates: Resolutions, *, image_size: Size, images: int) -> Resolutions:
        return candidates if images <= self.most_images else candidates[:1]


class CropAlways(CropPolicy):
    """Every picture may be cut."""

    type: Literal["always"] = "always"
    """Tag of the rule."""

    def allowed(self, candidates: Resolutions, *, image_size: Size, images: int) -> Resolutions:
        return candidates


class CropNever(CropPolicy):
    """No picture is cut."""

    type: Literal["never"] = "never"
    """Tag of the rule."""

    def allowed(self, candidates: Resolutions, *, image_size: Size, images: int) -> Resolutions:
        return candidates[:1]


class CropAtMost(CropPolicy):
    """Every picture may be cut, into a limited number of tiles."""

    type: Literal["at_most"] = "at_most"
    """Tag of the rule."""
    tiles: Count
    """Most tiles of a picture."""

    def allowed(self, candidates: Resolutions, *, image_size: Size, images: int) -> Resolutions:
        return [each for each in candidates if tile_grid(each, candidates[0]).area <= self.tiles]


class CropLargeImages(CropPolicy):
    """Pictures with a long side are always cut, others never; DeepSeek-OCR's rule."""

    type: Literal["large_images"] = "large_images"
    """Tag of the rule."""
    side: Count = 640
    """Longest side in pixels, width or height, of a picture that is not cut."""

    def allowed(self, candidates: Resolutions, *, image_size: Size, images: int) -> Resolutions:
        cut = [each for each in candidates if tile_grid(each, candidates[0]).area > 1]
        return cut if cut and max(image_size) > self.side else candidates[:1]


AnyCropPolicy = Annotated[
    CropFewImages | CropAlways | CropNever | CropAtMost | CropLargeImages, Field(discriminator="type")
]
"""Field type that takes any of the rules."""


class Cropping(Config):
    """From the size of a picture to its tiling; the defaults are DeepSeek-VL2's."""

    policy: AnyCropPolicy = CropFewImages()
    """Which candidates a picture may be fitted to."""
    choice: Literal["best_resolution", "closest_ratio"] = "best_resolution"
    """How one of them is chosen: most of the picture's pixels kept (DeepSeek-VL2), or the closest ratio of width to
    height (InternVL, DeepSeek-OCR)."""
    fit: Fit = "pad"
    """How the picture fills the resolution that is cut into tiles."""
    global_fit: Fit = "pad"
    """How it fills the global view."""
    least_side: Count = 1
    """Shortest side in pixels that "pad_floor" scales a picture to, however thin it is."""

    def tiling(
        self,
        image_size: tuple[int, int],
        candidates: Resolutions,
        *,
        images: int = 1,
        crop: bool | None = None,
        global_view_size: tuple[int, int] | None = None,
    ) -> Tiling:
        """Tiling of a picture.

        Args:
            image_size: its width and height.
            candidates: resolutions that it may be fitted to, that of one tile first.
            images: number of pictures in the prompt.
            crop: True allows every candidate, False only the first; None leaves it to the policy.
            global_view_size: width and height of the global view; None: those of a tile.

        Raises:
            InputError: if the picture is empty or there is no candidate.
        """
        if not candidates:
            raise InputError(
                "candidate_resolutions is empty", rule="at least one resolution is needed to tile a picture"
            )
        size, tile = Size(*image_size), Size(*candidates[0])
        policy = self.policy if crop is None else CropAlways() if crop else CropNever()
        allowed = policy.allowed(candidates, image_size=size, images=images)
        if self.choice == "closest_ratio":
            resolution = select_closest_ratio(size, allowed, tile)
        else:
            resolution = select_best_resolution(size, allowed)
        overview = None if global_view_size is None else Size(*global_view_size)
        return Tiling(size, tile, Size(*resolution), overview, self.fit, self.global_fit, self.least_side)
