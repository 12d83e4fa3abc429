"""The config of a whole model, and the rules between neighbours."""

from __future__ import annotations

from pydantic import Field, model_validator

from vlkit.config import Config, Count
from vlkit.cropping import Cropping
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
    """A whole model: four parts, the resolutions that pictures are fitted to, and how they are cut.

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
    global_view_size: tuple[Count, Count] | None = None
    """Width and height of the global view; None: those of a tile, so that both are encoded together."""
    cropping: Cropping = Cropping()
    """Whether a picture is cut, and how one of the resolutions is chosen."""

    @property
    def tile_size(self) -> Size:
        """Width and height of a tile in pixels."""
        return Size(*self.candidate_resolutions[0])

    @property
    def grid(self) -> Grid:
        """Rows and columns of tokens that a tile becomes."""
        return self.grid_of(self.tile_size)

    @property
    def overview(self) -> Grid:
        """Rows and columns of tokens that the global view becomes."""
        return self.grid_of(Size(*(self.global_view_size or self.tile_size)))

    @property
    def tile_grids(self) -> tuple[Grid, ...]:
        """Tile rows and columns of each candidate resolution."""
        return tuple(tile_grid(resolution, self.tile_size) for resolution in self.candidate_resolutions)

    def grid_of(self, size: Size) -> Grid:
        """Rows and columns of tokens that a view of `size` pixels becomes."""
        return self.projector.grid_out(self.encoder.grid_out(size))

    @property
    def token_size(self) -> Size:
        """Width and height of the pixels behind one token of a tile, padding that a projector adds included."""
        patches, cell, merge = self.encoder.grid_out(self.tile_size), self.encoder.cell_size, self.projector.merge
        if all(tokens in (side // merge, -(-side // merge)) for tokens, side in zip(self.grid, patches)):
            return Size(cell.width * merge, cell.height * merge)
        return Size(-(-self.tile_size.width // self.grid.cols), -(-self.tile_size.height // self.grid.rows))

    def tiling(self, image_size: tuple[int, int], *, crop: bool | None = None, images: int = 1) -> Tiling:
        """How a picture of this width and height is cut.

        Args:
            image_size: width and height of the picture.
            crop: whether it is cut; None: as `cropping` says.
            images: number of pictures in the prompt.
        """
        return self.cropping.tiling(
            image_size,
            self.candidate_resolutions,
            images=images,
            crop=crop,
            global_view_size=self.global_view_size,
        )

    def image_tokens(self, image_size: tuple[int, int], *, crop: bool | None = None, images: int = 1) -> int:
        """Number of tokens that a picture of this width and height takes; arguments as in `tiling`."""
        tiling = self.tiling(image_size, crop=crop, images=images)
        return self.layout.count(tiling.grid, self.grid, self.overview)

    @model_validator(mode="after")
    def _check_neighbours(self) -> VLMConfig:
        for name, size in self._views().items():
            self._check_view(name, size)
        self.projector.check(in_dim=self.encoder.feature_dim, out_dim=self.decoder.dim)
        self.layout.check(self.tile_grids)
        features = max(self.layout.features(tiles, self.grid, self.overview) for tiles in self.tile_grids)
        if features > MAX_FEATURES:
            raise ConfigError(
                f"the largest candidate resolution has {features} features",
                rule=f"a picture has at most {MAX_FEATURES}",
                remedy="drop large resolutions, or merge more features",
            )
        return self

    def _views(self) -> dict[str, Size]:
        views = {"candidate_resolutions begins with": self.tile_size}
        return views if self.global_view_size is None else views | {"global_view_size": Size(*self.global_view_size)}

    def _check_view(self, name: str, size: Size) -> None:
        try:
            self.encoder.check_size(size)
        except ConfigError as error:
            raise ConfigError(
                f"{name} {size}, encoder {self.encoder.type!r} takes {self.encoder.tile_size}",
                rule=f"tiles and global view have a size that the encoder takes; {error.rule}",
                remedy="change the encoder's image_size or the candidate resolutions and global_view_size",
            ) from None
        patches = self.encoder.grid_out(size)
        self.projector.check_grid(patches)
        if min(self.projector.grid_out(patches)) < 1:
            raise ConfigError(
                f"projector {self.projector.type!r} leaves a grid of {self.projector.grid_out(patches)} of the "
                f"encoder's {patches}",
                rule="at least one token of each tile remains",
                remedy="use larger tiles, smaller patches, or a projector that merges less",
            )
