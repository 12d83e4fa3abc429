"""Hybrid vision encoder of DeepSeek-VL: SigLIP sees a small picture, SAM a large one.

Paper: arXiv:2403.05525, section 2.1.
"""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from pydantic import model_validator
from torch import Tensor, nn

from vlkit.config import Count
from vlkit.encoders.base import Encoder, EncoderConfig, encoders
from vlkit.encoders.clip import PIXEL_MEAN, PIXEL_STD
from vlkit.encoders.sam import Sam, SamConfig
from vlkit.encoders.siglip import SigLIP, SigLIPConfig
from vlkit.errors import ConfigError
from vlkit.nn.neck import Neck
from vlkit.nn.recompute import run_blocks
from vlkit.nn.resize import resize
from vlkit.notation import Grid, Size


class HybridConfig(EncoderConfig):
    """Two encoders with the same grid; the defaults are those of DeepSeek-VL 7B."""

    type: Literal["hybrid"] = "hybrid"
    """Tag of the encoder."""
    high: SamConfig = SamConfig(image_mean=PIXEL_MEAN, image_std=PIXEL_STD)
    """SAM on the picture as it is."""
    low: SigLIPConfig = SigLIPConfig(
        image_size=384, patch_size=16, width=1024, layers=24, heads=16, mlp_ratio=4.0, activation="gelu"
    )
    """SigLIP on the picture resized to this encoder's tiles."""
    neck_grid: Count = 96
    """Rows and columns that the output of SAM's neck is resized to before it is compressed."""

    @property
    def feature_dim(self) -> int:
        return self.high.feature_dim + self.low.feature_dim

    @property
    def tile_size(self) -> Size:
        return self.high.tile_size

    @property
    def pixel_mean(self) -> tuple[float, float, float]:
        return (0.0, 0.0, 0.0)

    @property
    def pixel_std(self) -> tuple[float, float, float]:
        return (1.0, 1.0, 1.0)

    @property
    def neck_out(self) -> Grid:
        """Rows and columns of SAM's features between neck and compression."""
        return Grid(self.neck_grid, self.neck_grid)

    def grid_out(self, size: Size) -> Grid:
        return self.high.compressed(self.neck_out)

    def forward_flops(self, size: Size) -> int:
        patches = self.high.patch_grid(size)
        branches = 2 * (self.high.neck_flops(patches) + self.high.compression_flops(self.neck_out))
        return self.high.blocks_flops(patches) + branches + self.low.forward_flops(self.low.tile_size)

    def activation_bytes(self, size: Size, itemsize: int) -> int:
        early, pixels = self.high.patch_grid(size).area * self.high.width, 3 * size.width * size.height
        high = self.high.activation_bytes(size, itemsize) + (early + pixels) * itemsize
        return max(high, self.low.activation_bytes(self.low.tile_size, itemsize))

    @model_validator(mode="after")
    def _check(self) -> HybridConfig:
        if not self.high.global_layers:
            raise ConfigError(
                "high.global_layers is empty", rule="a second neck takes the output of the first block named there"
            )
        high, low = self.grid_out(self.tile_size), self.low.grid_out(self.low.tile_size)
        if high != low:
            raise ConfigError(
                f"high gives a grid of {high}, low one of {low}",
                rule="the features of both stand side by side",
                remedy="change neck_grid, high.downsample_channels, or image_size and patch_size of low",
            )
        return self


class HighTower(Sam):
    """SAM with a second neck on the output of its first block with global attention, added with a learned weight.

    Args:
        config: of SAM.
        neck_out: rows and columns that the output of either neck is resized to.
    """

    def __init__(self, config: SamConfig, *, neck_out: Grid) -> None:
        super().__init__(config)
        self.neck_out = neck_out
        self.neck_hd = Neck(config.width, config.neck_width)
        self.hd_alpha_downsamples = nn.Parameter(torch.zeros(1))

    def forward(self, pixels: Tensor) -> Tensor:
        branch = min(self.config.global_layers) + 1
        early_NYXW = run_blocks(self.blocks[:branch], self.embed(pixels), recompute=self.recompute)
        last_NYXW = run_blocks(self.blocks[branch:], early_NYXW, recompute=self.recompute)
        early_NYXW, last_NYXW = (
            self.compress(resize(x_NYXW, self.neck_out, mode="bilinear"))
            for x_NYXW in (self.neck_hd(early_NYXW), self.neck(last_NYXW))
        )
        return last_NYXW + early_NYXW * self.hd_alpha_downsamples


@encoders.register(HybridConfig)
class Hybrid(Encoder):
    """Features of SAM, then those of SigLIP; the pixels are raw, from 0 to 1, and each tower normalises its own."""

    config: HybridConfig

    def __init__(self, config: HybridConfig) -> None:
        super().__init__(config)
        self.high = HighTower(config.high, neck_out=config.neck_out)
        self.low = SigLIP(config.low)
        self.high_layer_norm = nn.LayerNorm(config.high.feature_dim)
        self.low_layer_norm = nn.LayerNorm(config.low.feature_dim)

    def forward(self, pixels: Tensor) -> Tensor:
        self.require_pixels(pixels)
        high_NYXW = self.high(normalize(pixels, self.config.high))
        low_NYXW = self.low(normalize(self.low_picture(pixels), self.config.low))
        return torch.cat([high_NYXW, low_NYXW], dim=-1)

    def low_picture(self, pixels: Tensor) -> Tensor:
        """Raw pixels float[N, 3, height, width] in the size that SigLIP takes."""
        width, height = self.config.low.tile_size
        x_NYXW = resize(rearrange(pixels, "n w y x -> n y x w"), Grid(height, width), mode="bilinear", antialias=True)
        return rearrange(x_NYXW, "n y x w -> n w y x")

    def idle_modules(self) -> tuple[nn.Module, ...]:
        """The norms too: the released checkpoints have them, but no released code applies them."""
        return (self.high_layer_norm, self.low_layer_norm, *self.low.idle_modules())


def normalize(pixels: Tensor, config: EncoderConfig) -> Tensor:
    """Pixels as an encoder wants them, from raw ones between 0 and 1."""
    mean, std = (pixels.new_tensor(values)[:, None, None] for values in (config.pixel_mean, config.pixel_std))
    return (pixels - mean) / std
