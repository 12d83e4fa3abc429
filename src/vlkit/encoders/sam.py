"""SAM's image encoder (ViT-B), with the convolutions by which DeepSeek-OCR compresses its grid.

Papers: SAM arXiv:2304.02643, appendix A; ViTDet arXiv:2203.16527; DeepSeek-OCR arXiv:2510.18234, section 3.2.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from vlkit.config import Count, Depth, Width
from vlkit.encoders.base import Encoder, EncoderConfig, encoders
from vlkit.encoders.square import check_square
from vlkit.errors import ConfigError
from vlkit.nn.neck import HalvingConv, Neck, halved
from vlkit.nn.patches import PatchConv
from vlkit.nn.recompute import run_blocks
from vlkit.nn.resize import resize
from vlkit.nn.window_block import WindowBlock
from vlkit.nn.windows import window_grid
from vlkit.notation import Grid, Size

Colour = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(gt=0, le=1)]


class SamConfig(EncoderConfig):
    """Vision transformer with attention in windows and, in a few blocks, among all; the defaults are DeepSeek-OCR's."""

    type: Literal["sam"] = "sam"
    """Tag of the encoder."""
    image_size: Count = 1024
    """Side in pixels of the square tiles that the positions are learned for; for others they are resized."""
    patch_size: Count = 16
    """Side of a patch in pixels."""
    width: Width = 768
    """Feature width W of the blocks."""
    layers: Depth = 12
    """Number of transformer blocks."""
    heads: Count = 12
    """Attention heads; they divide the width."""
    mlp_ratio: float = Field(default=4.0, gt=0, le=64)
    """Hidden width of the block's MLP is `int(width * mlp_ratio)`."""
    window_size: Count = 14
    """Rows and columns of a window."""
    global_layers: tuple[Annotated[int, Field(ge=0, lt=2**10)], ...] = Field(default=(2, 5, 8, 11), max_length=2**10)
    """Blocks, counted from 0, that attend to the whole tile."""
    neck_width: Width = 256
    """Feature width after the neck."""
    downsample_channels: tuple[Width, ...] = Field(default=(512, 1024), max_length=8)
    """Feature widths after the convolutions behind the neck, each of which halves the grid; () for none."""
    image_mean: tuple[Colour, Colour, Colour] = (0.5, 0.5, 0.5)
    """Mean per colour of the pixels, 0 to 1, that the weights are trained for."""
    image_std: tuple[Spread, Spread, Spread] = (0.5, 0.5, 0.5)
    """Standard deviation per colour of the pixels that the weights are trained for."""
    gradient_checkpointing: bool = False
    """Whether training recomputes each block in the backward pass to save memory."""

    @property
    def feature_dim(self) -> int:
        return (self.neck_width, *self.downsample_channels)[-1]

    @property
    def tile_size(self) -> Size:
        return Size(self.image_size, self.image_size)

    @property
    def pixel_mean(self) -> tuple[float, float, float]:
        return self.image_mean

    @property
    def pixel_std(self) -> tuple[float, float, float]:
        return self.image_std

    @property
    def mlp_width(self) -> int:
        """Hidden width F of the blocks' MLP."""
        return int(self.width * self.mlp_ratio)

    def check_size(self, size: Size) -> None:
        check_square(self.type, size, self.patch_size)

    def patch_grid(self, size: Size) -> Grid:
        """Rows and columns of patches, before the convolutions behind the neck."""
        return Grid(size.height // self.patch_size, size.width // self.patch_size)

    def grid_out(self, size: Size) -> Grid:
        return self.compressed(self.patch_grid(size))

    def compressed(self, grid: Grid) -> Grid:
        """Rows and columns after the convolutions behind the neck."""
        for _ in self.downsample_channels:
            grid = halved(grid)
        return grid

    def forward_flops(self, size: Size) -> int:
        grid = self.patch_grid(size)
        return self.blocks_flops(grid) + self.neck_flops(grid) + self.compression_flops(grid)

    def blocks_flops(self, grid: Grid) -> int:
        """Operations of patches and blocks."""
        patches = 2 * grid.area * 3 * self.patch_size**2 * self.width
        mlps = 4 * self.layers * grid.area * self.width * self.mlp_width
        windows, window = window_grid(grid, self.window_size), Grid(self.window_size, self.window_size)
        attend_all = len(self.global_layers) * self._attention_flops(grid)
        attend_near = (self.layers - len(self.global_layers)) * windows.area * self._attention_flops(window)
        return patches + mlps + attend_all + attend_near

    def neck_flops(self, grid: Grid) -> int:
        """Operations of one neck."""
        return 2 * grid.area * self.neck_width * (self.width + 9 * self.neck_width)

    def compression_flops(self, grid: Grid) -> int:
        """Operations of the convolutions behind the neck."""
        flops = 0
        for width, out_width in pairwise((self.neck_width, *self.downsample_channels)):
            grid = halved(grid)
            flops += 2 * grid.area * 9 * width * out_width
        return flops

    def activation_bytes(self, size: Size, itemsize: int) -> int:
        grid = self.patch_grid(size)
        windows, window = window_grid(grid, self.window_size), Grid(self.window_size, self.window_size)
        attend_all = self._attention_numbers(grid) if self.global_layers else 0
        attend_near = windows.area * (window.area * self.width + self._attention_numbers(window))
        mlp = grid.area * (self.width + 2 * self.mlp_width)
        return (2 * grid.area * self.width + max(attend_all, attend_near, mlp)) * itemsize

    def _attention_numbers(self, grid: Grid) -> int:
        places = self.heads * (grid.rows + grid.cols)
        return grid.area * max(6 * self.width + 3 * places, 4 * (self.width + places))

    def _attention_flops(self, grid: Grid) -> int:
        places = grid.rows + grid.cols
        linear = grid.area * self.width * (4 * self.width + places)
        return 2 * linear + 4 * grid.area**2 * (self.width + self.heads * places)

    @model_validator(mode="after")
    def _check(self) -> SamConfig:
        self.check_size(self.tile_size)
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} with {self.heads} heads", rule="the heads divide the width")
        if len(set(self.global_layers)) < len(self.global_layers) or max(self.global_layers, default=0) >= self.layers:
            raise ConfigError(
                f"global_layers {list(self.global_layers)} of {self.layers} layers",
                rule=f"each is named once and counted from 0 to {self.layers - 1}",
            )
        return self


class PatchEmbed(nn.Module):
    """Cuts tiles into patches and projects each to the width W."""

    def __init__(self, *, patch_size: int, width: int) -> None:
        super().__init__()
        self.proj = PatchConv(patch_size, width)

    def forward(self, pixels: Tensor) -> Tensor:
        """float[N, 3, height, width] to float[N, Y, X, W]."""
        return self.proj(pixels)


@encoders.register(SamConfig)
class Sam(Encoder):
    """Patches with positions, blocks, neck, compression; parameter names follow the released checkpoints."""

    config: SamConfig

    def __init__(self, config: SamConfig) -> None:
        super().__init__(config)
        rows, cols = config.patch_grid(config.tile_size)
        self.patch_embed = PatchEmbed(patch_size=config.patch_size, width=config.width)
        self.pos_embed = nn.Parameter(torch.empty(1, rows, cols, config.width))
        self.blocks = nn.ModuleList(
            WindowBlock(
                config.width,
                heads=config.heads,
                mlp_width=config.mlp_width,
                side=rows if layer in config.global_layers else config.window_size,
                windowed=layer not in config.global_layers,
            )
            for layer in range(config.layers)
        )
        self.neck = Neck(config.width, config.neck_width)
        for number, widths in enumerate(pairwise((config.neck_width, *config.downsample_channels)), start=2):
            self.add_module(f"net_{number}", HalvingConv(*widths))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.compress(self.neck(self.forward_features(pixels)))

    def forward_features(self, pixels: Tensor) -> Tensor:
        """Output float[N, Y, X, W] of the last block for pixels float[N, 3, height, width]."""
        return run_blocks(self.blocks, self.embed(pixels), recompute=self.recompute)

    def embed(self, pixels: Tensor) -> Tensor:
        """Patches with their positions, float[N, Y, X, W]."""
        size = self.require_pixels(pixels)
        positions = resize(self.pos_embed, self.config.patch_grid(size), mode="bicubic", antialias=True)
        return self.patch_embed(pixels) + positions

    @property
    def recompute(self) -> bool:
        """Whether blocks are run again in the backward pass."""
        return self.config.gradient_checkpointing and self.training

    def compress(self, x_NYXW: Tensor) -> Tensor:
        """The neck's features after the convolutions that follow it."""
        for number, _ in enumerate(self.config.downsample_channels, start=2):
            x_NYXW = self.get_submodule(f"net_{number}")(x_NYXW)
        return x_NYXW
