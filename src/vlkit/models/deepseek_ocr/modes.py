"""Resolution modes of DeepSeek-OCR: how large its views are. The same weights run in all of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field, model_validator

from vlkit.config import Config, Count
from vlkit.cropping import CropLargeImages, CropNever, Cropping
from vlkit.errors import ConfigError, did_you_mean
from vlkit.tiling import resolutions_up_to

SMALL = 640
"""Side in pixels up to which pictures are not cut, and views are stretched; a fixed number in the official code."""


class ResolutionMode(Config):
    """Sizes of the views of a picture, by the names that they have as arguments of the official code.

    Paper: arXiv:2510.18234, section 3.2 ("multiple resolution support") and table 1.
    """

    base_size: Count
    """Side in pixels of the global view."""
    image_size: Count
    """Side in pixels of a tile; that of the global view where nothing is cut."""
    crop_mode: bool = False
    """Whether pictures with a side of more than 640 pixels are cut into tiles beside the global view."""
    max_crops: Annotated[int, Field(ge=2, le=64)] = 6
    """Most tiles of a picture: 6 in the official serving code, 9 in the code beside the weights."""

    @property
    def fields(self) -> dict[str, Any]:
        """What the mode says in the fields of a `VLMConfig`."""
        tile, base = (self.image_size, self.image_size), (self.base_size, self.base_size)
        stretched = not self.crop_mode and self.image_size <= SMALL
        return {
            "candidate_resolutions": resolutions_up_to(self.max_crops, tile, least=2) if self.crop_mode else (tile,),
            "global_view_size": base,
            "cropping": Cropping(
                policy=CropLargeImages(side=SMALL) if self.crop_mode else CropNever(),
                choice="closest_ratio",
                fit="stretch",
                global_fit="stretch" if stretched else "pad",
            ),
        }

    @model_validator(mode="after")
    def _check(self) -> ResolutionMode:
        if not self.crop_mode and self.base_size != self.image_size:
            raise ConfigError(
                f"base_size {self.base_size} and image_size {self.image_size} without crop_mode",
                rule="a picture that is never cut has one view",
                remedy="give both the size of that view, or crop",
            )
        return self


MODES: Mapping[str, ResolutionMode] = MappingProxyType(
    {
        "tiny": ResolutionMode(base_size=512, image_size=512),
        "small": ResolutionMode(base_size=640, image_size=640),
        "base": ResolutionMode(base_size=1024, image_size=1024),
        "large": ResolutionMode(base_size=1280, image_size=1280),
        "gundam": ResolutionMode(base_size=1024, image_size=640, crop_mode=True),
    }
)
"""The official modes by name; "gundam" is the default of the official code."""

DEFAULT = "gundam"


def mode_of(mode: str | ResolutionMode) -> ResolutionMode:
    """A mode by its name, or as it is.

    Raises:
        ConfigError: if there is no mode of that name.
    """
    if isinstance(mode, ResolutionMode):
        return mode
    if mode not in MODES:
        raise ConfigError(
            f"{mode!r:.80} is no resolution mode; {did_you_mean(str(mode), MODES)}",
            rule=f"modes are {', '.join(MODES)}",
            remedy="name one of them, or give sizes of your own as a ResolutionMode",
        )
    return MODES[mode]
