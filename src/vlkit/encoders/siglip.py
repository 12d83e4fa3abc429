"""SigLIP vision transformer, as DeepSeek-VL2 uses it (so400m-patch14-384).

Paper: arXiv:2303.15343; the transformer itself: arXiv:2010.11929.
"""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from pydantic import Field, model_validator
from torch import Tensor, nn

from vlkit.config import Count, Depth, Width
from vlkit.encoders.base import Encoder, EncoderConfig, encoders
from vlkit.errors import ConfigError
from vlkit.nn.attention_pool import AttentionPool
from vlkit.nn.conv_stem import ConvStem, patch_side, stem_bytes, stem_flops
from vlkit.nn.full_attention import attend_all, filled_positions
from vlkit.nn.linear import Linear
from vlkit.nn.mlp import MLP
from vlkit.nn.patches import PatchConv
from vlkit.nn.recompute import run_blocks
from vlkit.notation import Grid, Size

EPS = 1e-6


class SigLIPConfig(EncoderConfig):
    """Vision transformer on square patches; the defaults are so400m-patch14-384 as released."""

    type: Literal["siglip"] = "siglip"
    """Tag of the encoder."""
    image_size: Count | tuple[Count, Count] = 384
    """Side of a square tile, or its width and height, in pixels; a remainder of the patch size is left unused."""
    patch_size: Count = 14
    """Side of a patch in pixels."""
    stem: tuple[Width, ...] = Field(default=(), max_length=16)
    """Channels of 3x3 convolutions that embed the patches, the first, third and so on halving the picture
    (arXiv:2106.14881); () for one convolution as large as a patch, as released."""
    width: Width = 1152
    """Feature width W."""
    layers: Depth = 27
    """Number of transformer blocks."""
    heads: Count = 16
    """Attention heads; they divide the width."""
    mlp_ratio: float = Field(default=3.7362, gt=0, le=64)
    """Hidden width of the block's MLP is `int(width * mlp_ratio)`."""
    class_token: bool = False
    """Whether a class token stands before the patches; `forward` leaves it out of the grid."""
    pool: Literal["map", "avg", "token", "none"] = "map"
    """Pooling head of `forward_pooled`: attention pool, mean, class token, or none. `avg` moves the last norm into
    the head, so that the features of `forward` stay unnormalised."""
    select_layer: int | None = None
    """Block whose output `forward` gives, without the last norm (-1 the last one); None: all blocks and the norm."""
    activation: Literal["gelu_tanh", "gelu"] = "gelu_tanh"
    """The blocks' GELU: its tanh approximation, or the exact one as in DeepSeek-VL."""
    gradient_checkpointing: bool = False
    """Whether training recomputes each block in the backward pass to save memory."""

    @property
    def feature_dim(self) -> int:
        return self.width

    @property
    def tile_size(self) -> Size:
        return Size(*self.image_size) if isinstance(self.image_size, tuple) else Size(self.image_size, self.image_size)

    @property
    def cell_size(self) -> Size:
        return Size(self.patch_size, self.patch_size)

    @property
    def mlp_width(self) -> int:
        """Hidden width F of the blocks' MLP."""
        return int(self.width * self.mlp_ratio)

    @property
    def blocks_run(self) -> int:
        """Number of blocks that `forward` runs."""
        return self.layers if self.select_layer is None else self.select_layer % self.layers + 1

    def grid_out(self, size: Size) -> Grid:
        return Grid(size.height // self.patch_size, size.width // self.patch_size)

    def forward_flops(self, size: Size) -> int:
        patches = self.grid_out(size).area
        tokens = patches + self.class_token
        linear = 4 * self.width**2 + 2 * self.width * self.mlp_width
        blocks = 2 * self.blocks_run * (tokens * linear + 2 * tokens**2 * self.width)
        if self.stem:
            return blocks + stem_flops(self.stem, self.width, size=size)
        return blocks + 2 * patches * 3 * self.patch_size**2 * self.width

    def activation_bytes(self, size: Size, itemsize: int) -> int:
        tokens = self.grid_out(size).area + self.class_token
        attention = max(7 * tokens, 6 * tokens + 2 * filled_positions(tokens, itemsize)) * self.width
        blocks = max(attention, tokens * (3 * self.width + 2 * self.mlp_width)) * itemsize
        return max(blocks, stem_bytes(self.stem, self.width, size=size, itemsize=itemsize)) if self.stem else blocks

    @model_validator(mode="after")
    def _check(self) -> SigLIPConfig:
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} with {self.heads} heads", rule="the heads divide the width")
        if min(self.tile_size) < self.patch_size:
            raise ConfigError(
                f"image_size {self.image_size} with patch_size {self.patch_size}",
                rule="a tile holds at least one patch",
            )
        if self.stem:
            self._check_stem()
        if self.pool == "token" and not self.class_token:
            raise ConfigError("pool 'token' without class_token", rule="token pooling takes the class token")
        if self.select_layer is not None and not -self.layers <= self.select_layer < self.layers:
            raise ConfigError(
                f"select_layer {self.select_layer} of {self.layers} layers",
                rule=f"a block is counted from 0 to {self.layers - 1} or from -1 to {-self.layers}",
            )
        return self

    def _check_stem(self) -> None:
        side = patch_side(self.stem)
        if self.patch_size != side:
            raise ConfigError(
                f"patch_size {self.patch_size} with a stem of {len(self.stem)} convolutions",
                rule=f"every other convolution halves the picture, here down to patches of {side}",
                remedy=f"patch_size {side}, or another stem; one of five or six convolutions has patches of 8, say",
            )
        if any(side % self.patch_size for side in self.tile_size):
            raise ConfigError(
                f"image_size {self.image_size} with patch_size {self.patch_size} and a stem",
                rule="behind a stem of convolutions the patch size divides both sides of a tile",
            )


class PatchEmbed(nn.Module):
    """Cuts tiles into patches and projects each to the width W."""

    def __init__(self, *, patch_size: int, width: int) -> None:
        super().__init__()
        self.proj = PatchConv(patch_size, width)

    def forward(self, pixels: Tensor) -> Tensor:
        """float[N, 3, height, width] to float[N, P, W]; pixels beyond the last whole patch are not used."""
        return self.proj(pixels).flatten(1, 2)


class SelfAttention(nn.Module):
    """Full attention among the patches of a tile."""

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(self, x_NPW: Tensor) -> Tensor:
        """Attended features, float[N, P, W]."""
        q, k, v = rearrange(self.qkv(x_NPW), "n p (three h k) -> three n h p k", three=3, h=self.heads)
        return self.proj(rearrange(attend_all(q, k, v), "n h p k -> n p (h k)"))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: SigLIPConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=EPS)
        self.attn = SelfAttention(width=config.width, heads=config.heads)
        self.norm2 = nn.LayerNorm(config.width, eps=EPS)
        approximate: Literal["tanh", "none"] = "tanh" if config.activation == "gelu_tanh" else "none"
        self.mlp = MLP(config.width, config.mlp_width, approximate=approximate)

    def forward(self, x_NPW: Tensor) -> Tensor:
        """One block, float[N, P, W]."""
        x_NPW = x_NPW + self.attn(self.norm1(x_NPW))
        return x_NPW + self.mlp(self.norm2(x_NPW))


@encoders.register(SigLIPConfig)
class SigLIP(Encoder):
    """Vision transformer with learned positions; parameter names follow timm, as the released checkpoints do."""

    config: SigLIPConfig

    def __init__(self, config: SigLIPConfig) -> None:
        super().__init__(config)
        width, patches = config.width, config.grid_out(config.tile_size).area
        self.patch_embed: nn.Module = (
            ConvStem(channels=config.stem, width=width)
            if config.stem
            else PatchEmbed(patch_size=config.patch_size, width=width)
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width)) if config.class_token else None
        self.pos_embed = nn.Parameter(torch.empty(1, patches + config.class_token, width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.Identity() if config.pool == "avg" else nn.LayerNorm(width, eps=EPS)
        self.fc_norm = nn.LayerNorm(width, eps=EPS) if config.pool == "avg" else nn.Identity()
        self.attn_pool = (
            AttentionPool(width, heads=config.heads, mlp_width=config.mlp_width) if config.pool == "map" else None
        )
        nn.init.trunc_normal_(self.pos_embed, std=width**-0.5)

    def forward(self, pixels: Tensor) -> Tensor:
        """Features of each tile as a grid, the class token left out.

        Args:
            pixels: float[N, 3, height, width] of exactly the config's tile size.

        Returns:
            x_NYXW: float[N, Y, X, W].

        Raises:
            ShapeError: if the pixels have another size.
        """
        x_NPW = self.forward_features(pixels)[:, int(self.config.class_token) :]
        return rearrange(x_NPW, "n (y x) w -> n y x w", y=self.config.grid_out(self.config.tile_size).rows)

    def forward_features(self, pixels: Tensor) -> Tensor:
        """All tokens float[N, P, W] (class token first, if any) after the last norm or of the selected block."""
        config = self.config
        recompute = config.gradient_checkpointing and self.training
        x_NPW = run_blocks(self.blocks[: config.blocks_run], self.embed(pixels), recompute=recompute)
        return self.norm(x_NPW) if config.select_layer is None else x_NPW

    def embed(self, pixels: Tensor) -> Tensor:
        """Class token, if any, and patches, float[N, P, W], with their positions."""
        self.require_pixels(pixels)
        x_NPW = self.patch_embed(pixels)
        if self.cls_token is not None:
            x_NPW = torch.cat([self.cls_token.expand(len(x_NPW), -1, -1), x_NPW], dim=1)
        return x_NPW + self.pos_embed

    def idle_modules(self) -> tuple[nn.Module, ...]:
        pooling = (self.fc_norm,) if self.attn_pool is None else (self.fc_norm, self.attn_pool)
        last_norm = () if self.config.select_layer is None else (self.norm,)
        return (*pooling, *last_norm, *self.blocks[self.config.blocks_run :])

    def forward_pooled(self, pixels: Tensor) -> Tensor:
        """One vector per tile from the pooling head, float[N, W]; all tokens if the pool is `none`."""
        x_NPW = self.forward_features(pixels)
        match self.config.pool:
            case "map":
                assert self.attn_pool is not None
                return self.attn_pool(x_NPW)
            case "avg":
                return self.fc_norm(x_NPW[:, int(self.config.class_token) :].mean(dim=1))
            case "token":
                return x_NPW[:, 0]
            case "none":
                return x_NPW
