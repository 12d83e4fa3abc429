"""DINOv2 vision transformer, with or without registers.

Papers: DINOv2 arXiv:2304.07193; registers arXiv:2309.16588. Positions are resized as transformers and timm do it,
without the tenth of a patch by which Meta's code stretches them for the weights without registers.
"""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from pydantic import Field, model_validator
from torch import Tensor, nn

from vlkit.config import Count, Depth, Width
from vlkit.encoders.base import Encoder, EncoderConfig, encoders
from vlkit.encoders.siglip import PatchEmbed, SelfAttention
from vlkit.errors import ConfigError
from vlkit.nn.layer_scale import LayerScale
from vlkit.nn.mlp import MLP, SwiGLU
from vlkit.nn.recompute import run_blocks
from vlkit.nn.resize import resize
from vlkit.notation import Grid, Size

EPS = 1e-6
PIXEL_MEAN = (0.485, 0.456, 0.406)
"""Mean per colour of ImageNet."""
PIXEL_STD = (0.229, 0.224, 0.225)
"""Standard deviation per colour of ImageNet."""


class Dinov2Config(EncoderConfig):
    """Vision transformer with LayerScale, a class token and registers; the defaults are ViT-L/14 without registers."""

    type: Literal["dinov2"] = "dinov2"
    """Tag of the encoder."""
    image_size: Count | tuple[Count, Count] = 518
    """Side of the square tiles that the positions are learned for, or width and height, in pixels. Tiles of other
    sizes in whole patches are taken too: the positions are resized for them."""
    patch_size: Count = 14
    """Side of a patch in pixels."""
    width: Width = 1024
    """Feature width W."""
    layers: Depth = 24
    """Number of transformer blocks."""
    heads: Count = 16
    """Attention heads; they divide the width."""
    mlp: Literal["gelu", "swiglu"] = "gelu"
    """Feed-forward layer of a block: with GELU, or gated, as in ViT-g."""
    mlp_ratio: float = Field(default=4.0, gt=0, le=64)
    """Hidden width of the block's MLP is `int(width * mlp_ratio)`; if gated, two thirds of it, rounded up to a multiple
    of 8."""
    registers: int = Field(default=0, ge=0, le=2**14)
    """Learned tokens between class token and patches; `forward` leaves both out of the grid."""
    antialias: bool = False
    """Whether positions resized to a smaller grid are averages; the published weights with registers want it, and timm
    does it for all."""
    select_layer: int | None = None
    """Block whose output `forward` gives, without the last norm (-1 the last one); None: all blocks and the norm."""
    gradient_checkpointing: bool = False
    """Whether training recomputes each block in the backward pass to save memory."""

    @property
    def feature_dim(self) -> int:
        return self.width

    @property
    def tile_size(self) -> Size:
        return Size(*self.image_size) if isinstance(self.image_size, tuple) else Size(self.image_size, self.image_size)

    @property
    def pixel_mean(self) -> tuple[float, float, float]:
        return PIXEL_MEAN

    @property
    def pixel_std(self) -> tuple[float, float, float]:
        return PIXEL_STD

    @property
    def mlp_width(self) -> int:
        """Hidden width F of the blocks' MLP."""
        hidden = int(self.width * self.mlp_ratio)
        return hidden if self.mlp == "gelu" else -(-int(hidden * 2 / 3) // 8) * 8

    @property
    def prefix(self) -> int:
        """Number of tokens before the patches."""
        return 1 + self.registers

    @property
    def blocks_run(self) -> int:
        """Number of blocks that `forward` runs."""
        return self.layers if self.select_layer is None else self.select_layer % self.layers + 1

    def check_size(self, size: Size) -> None:
        if min(size) < self.patch_size or size.width % self.patch_size or size.height % self.patch_size:
            raise ConfigError(
                f"tiles of {size} pixels for encoder {self.type!r}",
                rule=f"width and height are whole patches of {self.patch_size} pixels",
                remedy=f"pad or resize the picture to sides of 1, 2, 3 .. times {self.patch_size}",
            )

    def grid_out(self, size: Size) -> Grid:
        return Grid(size.height // self.patch_size, size.width // self.patch_size)

    def forward_flops(self, size: Size) -> int:
        patches = self.grid_out(size).area
        tokens = patches + self.prefix
        linear = self.width * (4 * self.width + (2 if self.mlp == "gelu" else 3) * self.mlp_width)
        patch = 3 * self.patch_size**2 * self.width
        return 2 * (self.blocks_run * (tokens * linear + 2 * tokens**2 * self.width) + patches * patch)

    def activation_bytes(self, size: Size, itemsize: int) -> int:
        tokens = self.grid_out(size).area + self.prefix
        hidden = (2 if self.mlp == "gelu" else 4) * self.mlp_width
        return tokens * max(8 * self.width, 4 * self.width + hidden) * itemsize

    @model_validator(mode="after")
    def _check(self) -> Dinov2Config:
        self.check_size(self.tile_size)
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} with {self.heads} heads", rule="the heads divide the width")
        if self.select_layer is not None and not -self.layers <= self.select_layer < self.layers:
            raise ConfigError(
                f"select_layer {self.select_layer} of {self.layers} layers",
                rule=f"a block is counted from 0 to {self.layers - 1} or from -1 to {-self.layers}",
            )
        return self


class Block(nn.Module):
    """Pre-norm transformer block whose two branches are scaled."""

    def __init__(self, config: Dinov2Config) -> None:
        super().__init__()
        width = config.width
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn = SelfAttention(width=width, heads=config.heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.mlp = MLP(width, config.mlp_width) if config.mlp == "gelu" else SwiGLU(width, config.mlp_width)
        self.ls2 = LayerScale(width)

    def forward(self, x_NPW: Tensor) -> Tensor:
        """One block, float[N, P, W]."""
        x_NPW = x_NPW + self.ls1(self.attn(self.norm1(x_NPW)))
        return x_NPW + self.ls2(self.mlp(self.norm2(x_NPW)))


@encoders.register(Dinov2Config)
class Dinov2(Encoder):
    """Class token, registers and patches through the blocks; parameter names follow Meta's checkpoints."""

    config: Dinov2Config

    def __init__(self, config: Dinov2Config) -> None:
        super().__init__(config)
        width, patches = config.width, config.grid_out(config.tile_size).area
        self.patch_embed = PatchEmbed(patch_size=config.patch_size, width=width)
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.register_tokens = nn.Parameter(torch.empty(1, config.registers, width)) if config.registers else None
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + patches, width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width, eps=EPS)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for tokens in (self.cls_token, self.register_tokens):
            if tokens is not None:
                nn.init.normal_(tokens, std=1e-6)

    def forward(self, pixels: Tensor) -> Tensor:
        """Features of each tile as a grid, class token and registers left out.

        Args:
            pixels: float[N, 3, height, width], both sides whole patches.

        Returns:
            x_NYXW: float[N, Y, X, W].

        Raises:
            ShapeError: if the sides are not whole patches.
        """
        grid = self.grid_out(self.require_pixels(pixels))
        x_NPW = self.forward_features(pixels)[:, self.config.prefix :]
        return rearrange(x_NPW, "n (y x) w -> n y x w", y=grid.rows)

    def forward_features(self, pixels: Tensor) -> Tensor:
        """Class token, registers and patches, float[N, P, W], after the last norm or of the selected block."""
        config, x_NPW = self.config, self.embed(pixels)
        recompute = config.gradient_checkpointing and self.training
        x_NPW = run_blocks(self.blocks[: config.blocks_run], x_NPW, recompute=recompute)
        return self.norm(x_NPW) if config.select_layer is None else x_NPW

    def embed(self, pixels: Tensor) -> Tensor:
        """Tokens float[N, P, W] with their positions; registers have none."""
        size = self.require_pixels(pixels)
        prefix = [self.cls_token + self.pos_embed[:, :1]]
        if self.register_tokens is not None:
            prefix.append(self.register_tokens)
        placed = self.patch_embed(pixels) + self.positions(self.grid_out(size))
        return torch.cat([*(tokens.expand(len(placed), -1, -1) for tokens in prefix), placed], dim=1)

    def positions(self, grid: Grid) -> Tensor:
        """Positions float[1, P, W] of the patches of a grid."""
        native = self.grid_out(self.config.tile_size)
        learned = rearrange(self.pos_embed[:, 1:], "1 (y x) w -> 1 y x w", y=native.rows)
        resized = resize(learned, grid, mode="bicubic", antialias=self.config.antialias)
        return rearrange(resized, "1 y x w -> 1 (y x) w")

    def idle_modules(self) -> tuple[nn.Module, ...]:
        last_norm = () if self.config.select_layer is None else (self.norm,)
        return (*last_norm, *self.blocks[self.config.blocks_run :])
