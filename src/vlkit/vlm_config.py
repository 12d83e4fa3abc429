"""The config of a whole model, and the rules between neighbours."""

from __future__ import annotations

from pydantic import Field, model_validator

from vlkit.config import Config, Count
from vlkit.decoders.base import AnyDecoder
from vlkit.encoders.base import AnyEncoder
from vlkit.errors import ConfigError
from vlkit.layouts.base import AnyLayout
from vlkit.notation import Grid, Size
from vlkit.projectors.base import AnyProjector
from vlkit.tiling import Tiling, tile_grid

MAX_FEATURES = 2**20
"""Most features of one picture: far beyond any context, but few enough that no config can exhaust memory with it."""


class VLMConfig(Config):
    """A whole model: four parts and the resolutions that pictures are fitted to.

    Raises:
        ConfigError: if neighbours do not fit each other, naming both sides, the rule and the remedy.
    """

    encoder: AnyEncoder
    """Vision encoder."""
    projector: AnyProjector
    """Connection from the encoder's width to the decoder's."""
    layout: AnyLayout
    """Order of the image tokens."""
    decoder: AnyDecoder
    """Language model."""
    candidate_resolutions: tuple[tuple[Count, Count], ...] = Field(min_length=1, max_length=1024)
    """Widths and heights that a picture may be fitted to; the first is the size of a tile."""

    @property
    def tile_size(self) -> Size:
        """Width and height of a tile in pixels."""
        return Size(*self.candidate_resolutions[0])

    @property
    def grid(self) -> Grid:
        """Rows and columns of tokens that a tile becomes."""
        return self.projector.grid_out(self.encoder.grid_out(self.tile_size))

    @property
    def tile_grids(self) -> tuple[Grid, ...]:
        """Tile rows and columns of each candidate resolution."""
        return tuple(tile_grid(resolution, self.tile_size) for resolution in self.candidate_resolutions)

    def tiling(self, image_size: tuple[int, int], *, crop: bool = True) -> Tiling:
        """How a picture of this width and height is cut."""
        return Tiling.choose(image_size, self.candidate_resolutions, crop=crop)

    def image_tokens(self, image_size: tuple[int, int], *, crop: bool = True) -> int:
        """Number of tokens that a picture of this width and height takes."""
        return self.layout.count(self.tiling(image_size, crop=crop).grid, self.grid)

    @model_validator(mode="after")
    def _check_neighbours(self) -> VLMConfig:
        if self.tile_size != self.encoder.tile_size:
            raise ConfigError(
                f"candidate_resolutions begins with {self.tile_size}, encoder {self.encoder.type!r} takes "
                f"{self.encoder.tile_size}",
                rule="the first candidate resolution is the encoder's tile",
                remedy="change the encoder's image_size or the candidate resolutions",
            )
        patches = self.encoder.grid_out(self.tile_size)
        if min(self.grid) < 1:
            raise ConfigError(
                f"projector {self.projector.type!r} leaves a grid of {self.grid} of the encoder's {patches}",
                rule="at least one token of each tile remains",
                remedy="use larger tiles, smaller patches, or a projector that merges less",
            )
        self.projector.check(in_dim=self.encoder.feature_dim, out_dim=self.decoder.dim)
        self.layout.check(self.tile_grids)
        features = max((1 + tiles.area) * self.grid.area for tiles in self.tile_grids)
        if features > MAX_FEATURES:
            raise ConfigError(
                f"the largest candidate resolution has {features} features",
                rule=f"a picture has at most {MAX_FEATURES}",
                remedy="drop large resolutions, or merge more features",
            )
        return self
