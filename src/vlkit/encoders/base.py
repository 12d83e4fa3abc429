"""The encoder contract: pixels of tiles in, a grid of features per tile out."""

from __future__ import annotations

from typing import Annotated

from pydantic import SerializeAsAny
from torch import Tensor, nn

from vlkit.config import Config
from vlkit.errors import ConfigError, ShapeError
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

    @property
    def pixel_mean(self) -> tuple[float, float, float]:
        """Mean per colour of the pixels, 0 to 1, that is subtracted before the encoder sees them."""
        return (0.5, 0.5, 0.5)

    @property
    def pixel_std(self) -> tuple[float, float, float]:
        """Standard deviation per colour that the pixels are divided by."""
        return (0.5, 0.5, 0.5)

    def check_size(self, size: Size) -> None:
        """Refuse sizes of tiles that the encoder cannot take; by default it takes its own tile size only.

        Raises:
            ConfigError: naming the size, the rule and the remedy.
        """
        if size != self.tile_size:
            raise ConfigError(
                f"tiles of {size} pixels for encoder {self.type!r}",
                rule=f"its tiles are {self.tile_size}",
                remedy="change the encoder's image_size, or the size of the tiles",
            )

    def size_of(self, pixels: Tensor) -> Size:
        """Width and height of tiles float[N, 3, height, width] that the encoder takes.

        Raises:
            ShapeError: if it does not take them.
        """
        width, height = self.tile_size
        rule, remedy = f"this encoder takes float[N, 3, {height}, {width}]", "stack tiles along the first axis"
        if pixels.ndim == 4 and pixels.shape[1] == 3:
            size = Size(pixels.shape[3], pixels.shape[2])
            try:
                self.check_size(size)
                return size
            except ConfigError as error:
                rule, remedy = f"{rule}; {error.rule}", error.remedy or remedy
        raise ShapeError(f"pixels of shape {list(pixels.shape)}", rule=rule, remedy=remedy)

    def grid_out(self, size: Size) -> Grid:
        """Feature rows and columns of a tile of `size` pixels."""
        raise NotImplementedError(f"{type(self).__name__} defines grid_out(size)")

    def forward_flops(self, size: Size) -> int:
        """Floating-point operations for one tile of `size` pixels, counting a multiply-add as two; 0 if unknown."""
        return 0

    def activation_bytes(self, size: Size, itemsize: int) -> int:
        """Most bytes alive at once while one tile is encoded without gradients; an estimate, 0 if unknown.

        Args:
            size: width and height of the tile in pixels.
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

        Raises:
            ShapeError: if the pixels have another shape.
        """
        raise NotImplementedError

    def require_pixels(self, pixels: Tensor) -> Size:
        """Width and height of tiles float[N, 3, height, width] that this encoder takes.

        Raises:
            ShapeError: if it does not take them.
        """
        return self.config.size_of(pixels)


encoders: Registry[EncoderConfig, Encoder] = Registry(
    "encoders",
    EncoderConfig,
    homes={
        "clip": "vlkit.encoders.clip",
        "deep_encoder": "vlkit.encoders.deep_encoder",
        "dinov2": "vlkit.encoders.dinov2",
        "hf_vision": "vlkit.encoders.hf_vision",
        "hybrid": "vlkit.encoders.hybrid",
        "sam": "vlkit.encoders.sam",
        "siglip": "vlkit.encoders.siglip",
        "supplied": "vlkit.encoders.supplied",
        "timm": "vlkit.encoders.timm",
    },
)
AnyEncoder = Annotated[SerializeAsAny[EncoderConfig], encoders]
"""Field type that takes any registered encoder."""
