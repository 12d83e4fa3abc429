"""DeepEncoder of DeepSeek-OCR: SAM sees the pixels, CLIP sees SAM's compressed features.

Paper: arXiv:2510.18234, section 3.2.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn

from vlkit.encoders.base import Encoder, EncoderConfig, encoders
from vlkit.encoders.clip import Clip, ClipConfig
from vlkit.encoders.sam import Sam, SamConfig
from vlkit.errors import ConfigError
from vlkit.notation import Grid, Size


class DeepEncoderConfig(EncoderConfig):
    """SAM and CLIP one after the other; the defaults are DeepSeek-OCR's."""

    type: Literal["deep_encoder"] = "deep_encoder"
    """Tag of the encoder."""
    sam: SamConfig = SamConfig()
    """First network: it says which tiles are taken, and compresses their grid."""
    clip: ClipConfig = ClipConfig()
    """Second network: takes SAM's features for its patches; its image_size only says how many positions it has."""

    @property
    def feature_dim(self) -> int:
        return self.clip.feature_dim + self.sam.feature_dim

    @property
    def tile_size(self) -> Size:
        return self.sam.tile_size

    @property
    def pixel_mean(self) -> tuple[float, float, float]:
        return self.sam.pixel_mean

    @property
    def pixel_std(self) -> tuple[float, float, float]:
        return self.sam.pixel_std

    def check_size(self, size: Size) -> None:
        self.sam.check_size(size)

    def grid_out(self, size: Size) -> Grid:
        return self.sam.grid_out(size)

    def forward_flops(self, size: Size) -> int:
        return self.sam.forward_flops(size) + self.clip.blocks_flops(self.grid_out(size))

    def activation_bytes(self, size: Size, itemsize: int) -> int:
        clip = self.clip.blocks_bytes(self.grid_out(size), itemsize)
        return max(self.sam.activation_bytes(size, itemsize), clip)

    @model_validator(mode="after")
    def _check(self) -> DeepEncoderConfig:
        if self.sam.feature_dim != self.clip.width:
            raise ConfigError(
                f"sam has features of width {self.sam.feature_dim}, clip patches of width {self.clip.width}",
                rule="SAM's features take the place of CLIP's patches",
                remedy="change the last of sam.downsample_channels, or clip.width",
            )
        return self


@encoders.register(DeepEncoderConfig)
class DeepEncoder(Encoder):
    """CLIP's features beside those of SAM that they were made from."""

    config: DeepEncoderConfig

    def __init__(self, config: DeepEncoderConfig) -> None:
        super().__init__(config)
        self.sam = Sam(config.sam)
        self.clip = Clip(config.clip)

    def forward(self, pixels: Tensor) -> Tensor:
        sam_NYXW = self.sam(pixels)
        return torch.cat([self.clip.forward_patches(sam_NYXW), sam_NYXW], dim=-1)

    def idle_modules(self) -> tuple[nn.Module, ...]:
        return (*self.clip.idle_modules(), self.clip.embeddings.patch_embedding)
