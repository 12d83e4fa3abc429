"""The encoder contract: pixels of tiles in, a grid of features per tile out."""

from __future__ import annotations

from typing import Annotated

from pydantic import SerializeAsAny
from torch import Tensor, nn

from vlkit.config import Config
from vlkit.notation import Grid, Size
from vlkit.registry import Registry


class EncoderConfig(Config):
    """Base of encoder configs: says without weights how wide and how fine the features are."""

    type: str
    """Tag of the encoder."""

    @property
    def feature_dim(self) -> int:
        """Width W of the features."""
        raise NotImplementedError(f"{type(self).__name__} defines feature_dim")

    @property
    def tile_size(self) -> Size:
        """Width and height in pixels of the tiles that the encoder takes."""
        raise NotImplementedError(f"{type(self).__name__} defines tile_size")

    @property
    def cell_size(self) -> Size:
        """Width and height in pixels of the patch behind one feature."""
        rows, cols = self.grid_out(self.tile_size)
        return Size(self.tile_size.width // cols, self.tile_size.height // rows)

    def grid_out(self, size: Size) -> Grid:
        """Feature rows and columns of a tile of `size` pixels."""
        raise NotImplementedError(f"{type(self).__name__} defines grid_out(size)")

    def forward_flops(self) -> int:
        """Floating-point operations for one tile, counting a multiply-add as two; 0 if unknown."""
        return 0

    def activation_bytes(self, itemsize: int) -> int:
        """Most bytes alive at once while one tile is encoded without gradients; an estimate, 0 if unknown.

        Args:
            itemsize: bytes of one number.
        """
        return 0


class Encoder(nn.Module):
    """Turns tiles into features; subclasses define `forward`."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def feature_dim(self) -> int:
        """Width W of the features."""
        return self.config.feature_dim

    def grid_out(self, size: Size) -> Grid:
        """Feature rows and columns of a tile of `size` pixels."""
        return self.config.grid_out(size)

    def idle_modules(self) -> tuple[nn.Module, ...]:
        """Modules that `forward` never runs, such as a pooling head."""
        return ()

    def forward(self, pixels: Tensor) -> Tensor:
        """Features of each tile.

        Args:
            pixels: float[N, 3, height, width].

        Returns:
            x_NYXW: float[N, Y, X, W].
        """
        raise NotImplementedError


encoders: Registry[EncoderConfig, Encoder] = Registry("encoders", EncoderConfig)
AnyEncoder = Annotated[SerializeAsAny[EncoderConfig], encoders]
"""Field type that takes any registered encoder."""
