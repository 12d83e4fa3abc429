"""A place in the config for an encoder that the caller wrote as a plain `nn.Module`."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from vlkit.config import Width
from vlkit.encoders.base import Encoder, EncoderConfig, encoders
from vlkit.errors import ConfigError
from vlkit.notation import Grid, Size


class SuppliedEncoderConfig(EncoderConfig):
    """What the rest of the model must know about an encoder that is passed in as a module."""

    type: Literal["supplied"] = "supplied"
    """Tag of the encoder."""
    width: Width
    """Width W of its features."""
    image_size: tuple[PositiveInt, PositiveInt]
    """Width and height in pixels of the tiles it takes."""
    grid: tuple[PositiveInt, PositiveInt]
    """Feature rows and columns it gives for such a tile."""

    @property
    def feature_dim(self) -> int:
        return self.width

    @property
    def tile_size(self) -> Size:
        return Size(*self.image_size)

    def grid_out(self, size: Size) -> Grid:
        if tuple(size) != self.image_size:
            raise ConfigError(f"tile size {size}", rule=f"the supplied encoder takes {self.tile_size}")
        return Grid(*self.grid)


@encoders.register(SuppliedEncoderConfig)
def _refuse(config: SuppliedEncoderConfig) -> Encoder:
    raise ConfigError(
        "encoder type 'supplied' has no module",
        rule="it stands for a module that is passed to the builder in Python",
        remedy="call .encoder(module, width=..., ...) on the builder, or register the module's class with its own tag",
    )
