"""How pictures become views and how many tokens they take; processor and model agree by the same integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from PIL.Image import Image

from vlkit.cropping import Cropping
from vlkit.layouts import LayoutConfig
from vlkit.notation import Grid, Size
from vlkit.processing.image import fitted, views
from vlkit.tiling import Tiling, tile_grid


class ImagePlan(NamedTuple):
    """How a picture is cut, and the number of tokens that it takes."""

    tiling: Tiling
    num_tokens: int


@dataclass(frozen=True)
class ImageGeometry:
    """The integers of a model's pictures.

    Args:
        layout: its plan gives the number of tokens of an image.
        candidate_resolutions: widths and heights that pictures are fitted to; the first is the size of a tile.
        grid_of: feature rows and columns that encoder and projector make of a view of some size.
        cropping: whether a picture is cut, and into which of the resolutions.
        global_view_size: width and height of global views that are passed apart from the tiles; None: those of a tile.

    Raises:
        ConfigError: if the layout cannot arrange a candidate resolution.
    """

    layout: LayoutConfig
    candidate_resolutions: tuple[tuple[int, int], ...]
    grid_of: Callable[[Size], Grid]
    cropping: Cropping = field(default_factory=Cropping)
    global_view_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self.layout.check([tile_grid(size, self.tile_size) for size in self.candidate_resolutions])

    @property
    def tile_size(self) -> Size:
        """Width and height of a tile in pixels."""
        return Size(*self.candidate_resolutions[0])

    @property
    def grid(self) -> Grid:
        """Feature rows and columns of a tile."""
        return self.grid_of(self.tile_size)

    @property
    def overview(self) -> Grid:
        """Feature rows and columns of the global view."""
        return self.grid_of(Size(*(self.global_view_size or self.tile_size)))

    def plan(self, image_size: tuple[int, int], *, crop: bool | None = None, images: int = 1) -> ImagePlan:
        """Tiling and number of tokens of a picture.

        Args:
            image_size: its width and height.
            crop: whether it is cut; None: as `cropping` says.
            images: number of pictures in the prompt.
        """
        tiling = self.cropping.tiling(
            image_size,
            self.candidate_resolutions,
            crop=crop,
            images=images,
            global_view_size=self.global_view_size,
        )
        return ImagePlan(tiling, self.layout.count(tiling.grid, self.grid, self.overview))

    def cut(self, image: Image, tiling: Tiling, fill: tuple[int, ...]) -> tuple[Image, list[Image]]:
        """Global view of a picture, and the tiles that the layout has a place for."""
        if self.layout.tile_count(tiling.grid) == 0:
            return fitted(image, tiling.overview, tiling.placed_globally, fill), []
        overview, *tiles = views(image, tiling, fill)
        return overview, tiles
