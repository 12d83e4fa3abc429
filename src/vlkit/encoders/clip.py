"""CLIP's vision transformer, as OpenAI released it (ViT-L/14) and as DeepSeek-OCR and LLaVA use it.

Papers: CLIP arXiv:2103.00020, section 2.4; LLaVA arXiv:2304.08485 (features of the last block but one).
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from einops import rearrange, repeat
from pydantic import Field, model_validator
from torch import Tensor, nn

from vlkit.config import Count, Depth, Width
from vlkit.encoders.base import Encoder, EncoderConfig, encoders
from vlkit.encoders.square import check_square
from vlkit.errors import ConfigError, ShapeError
from vlkit.nn.full_attention import attend_all, filled_positions
from vlkit.nn.linear import Linear
from vlkit.nn.mlp import MLP
from vlkit.nn.patches import PatchConv
from vlkit.nn.recompute import run_blocks
from vlkit.nn.resize import resize
from vlkit.notation import Grid, Size

EPS = 1e-5
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
"""Mean per colour that OpenAI's weights are trained for."""
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
"""Standard deviation per colour that OpenAI's weights are trained for."""


class ClipConfig(EncoderConfig):
    """Vision transformer with a class token and a norm before the blocks; the defaults are OpenAI's ViT-L/14."""

    type: Literal["clip"] = "clip"
    """Tag of the encoder."""
    image_size: Count = 224
    """Side in pixels of the square tiles that the positions are learned for; for others they are resized."""
    patch_size: Count = 14
    """Side of a patch in pixels."""
    width: Width = 1024
    """Feature width W of the blocks."""
    layers: Depth = 24
    """Number of transformer blocks."""
    heads: Count = 16
    """Attention heads; they divide the width."""
    mlp_ratio: float = Field(default=4.0, gt=0, le=64)
    """Hidden width of the block's MLP is `int(width * mlp_ratio)`."""
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"
    """`x * sigmoid(1.702 x)` as in OpenAI's weights, or the exact GELU as in most of OpenCLIP's."""
    select_layer: int = -1
    """Block whose output the features are, counted from 0, or from -1 for the last one (-2 in LLaVA)."""
    class_token: Literal["drop", "keep"] = "drop"
    """`drop` leaves the class token out; `keep` appends it to every feature, which doubles the width."""
    gradient_checkpointing: bool = False
    """Whether training recomputes each block in the backward pass to save memory."""

    @property
    def feature_dim(self) -> int:
        return self.width if self.class_token == "drop" else 2 * self.width

    @property
    def tile_size(self) -> Size:
        return Size(self.image_size, self.image_size)

    @property
    def pixel_mean(self) -> tuple[float, float, float]:
        return PIXEL_MEAN

    @property
    def pixel_std(self) -> tuple[float, float, float]:
        return PIXEL_STD

    @property
    def mlp_width(self) -> int:
        """Hidden width F of the blocks' MLP."""
        return int(self.width * self.mlp_ratio)

    @property
    def blocks_run(self) -> int:
        """Number of blocks that `forward` runs."""
        return self.select_layer % self.layers + 1

    def check_size(self, size: Size) -> None:
        check_square(self.type, size, self.patch_size)

    def grid_out(self, size: Size) -> Grid:
        return Grid(size.height // self.patch_size, size.width // self.patch_size)

    def forward_flops(self, size: Size) -> int:
        grid = self.grid_out(size)
        return 2 * grid.area * 3 * self.patch_size**2 * self.width + self.blocks_flops(grid)

    def blocks_flops(self, grid: Grid) -> int:
        """Operations of the blocks on a grid of patches and the class token."""
        tokens = grid.area + 1
        linear = 4 * self.width**2 + 2 * self.width * self.mlp_width
        return 2 * self.blocks_run * (tokens * linear + 2 * tokens**2 * self.width)

    def activation_bytes(self, size: Size, itemsize: int) -> int:
        return self.blocks_bytes(self.grid_out(size), itemsize)

    def blocks_bytes(self, grid: Grid, itemsize: int) -> int:
        """Most bytes alive at once in the blocks, as `activation_bytes`, on a grid of patches and the class token."""
        hidden = (3 if self.activation == "quick_gelu" else 2) * self.mlp_width
        tokens = grid.area + 1
        attention = max(8 * tokens, 7 * tokens + 2 * filled_positions(tokens, itemsize)) * self.width
        return max(attention, tokens * (4 * self.width + hidden)) * itemsize

    @model_validator(mode="after")
    def _check(self) -> ClipConfig:
        self.check_size(self.tile_size)
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} with {self.heads} heads", rule="the heads divide the width")
        if not -self.layers <= self.select_layer < self.layers:
            raise ConfigError(
                f"select_layer {self.select_layer} of {self.layers} layers",
                rule=f"a block is counted from 0 to {self.layers - 1} or from -1 to {-self.layers}",
            )
        return self


class Embeddings(nn.Module):
    """Patches, the class token before them, and the positions of all."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.class_embedding = nn.Parameter(torch.empty(config.width))
        self.patch_embedding = PatchConv(config.patch_size, config.width, bias=False)
        self.position_embedding = nn.Embedding(1 + config.grid_out(config.tile_size).area, config.width)
        nn.init.normal_(self.class_embedding, std=config.width**-0.5)
        nn.init.normal_(self.position_embedding.weight, std=config.width**-0.5)

    def patches(self, pixels: Tensor) -> Tensor:
        """float[N, 3, height, width] to float[N, Y, X, W]."""
        return self.patch_embedding(pixels)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        """Patches float[N, Y, X, W] to tokens float[N, 1 + P, W]; the grid of positions is resized to theirs."""
        class_position, positions = self.position_embedding.weight[:1], self.position_embedding.weight[1:]
        native = rearrange(positions, "(y x) w -> 1 y x w", y=self.config.grid_out(self.config.tile_size).rows)
        placed = x_NYXW + resize(native, Grid(*x_NYXW.shape[1:3]), mode="bicubic", antialias=True)
        class_N1W = repeat(self.class_embedding + class_position, "1 w -> n 1 w", n=len(x_NYXW))
        return torch.cat([class_N1W, placed.flatten(1, 2)], dim=1)


class SelfAttention(nn.Module):
    """Full attention among the tokens of a tile."""

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv_proj = Linear(width, 3 * width)
        self.out_proj = Linear(width, width)

    def forward(self, x_NPW: Tensor) -> Tensor:
        """Attended features, float[N, P, W]."""
        q, k, v = rearrange(self.qkv_proj(x_NPW), "n p (three h k) -> three n h p k", three=3, h=self.heads)
        return self.out_proj(rearrange(attend_all(q, k, v), "n h p k -> n p (h k)"))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.width, eps=EPS)
        self.self_attn = SelfAttention(width=config.width, heads=config.heads)
        self.layer_norm2 = nn.LayerNorm(config.width, eps=EPS)
        approximate: Literal["sigmoid", "none"] = "sigmoid" if config.activation == "quick_gelu" else "none"
        self.mlp = MLP(config.width, config.mlp_width, approximate=approximate)

    def forward(self, x_NPW: Tensor) -> Tensor:
        """One block, float[N, P, W]."""
        x_NPW = x_NPW + self.self_attn(self.layer_norm1(x_NPW))
        return x_NPW + self.mlp(self.layer_norm2(x_NPW))


@encoders.register(ClipConfig)
class Clip(Encoder):
    """Class token and patches with positions, a norm, blocks; parameter names follow DeepSeek-OCR's checkpoint.

    Without the last norm, which CLIP applies to its pooled output only.
    """

    config: ClipConfig

    def __init__(self, config: ClipConfig) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.width, eps=EPS)
        self.transformer = nn.ModuleDict({"layers": nn.ModuleList(Block(config) for _ in range(config.layers))})

    def forward(self, pixels: Tensor) -> Tensor:
        self.require_pixels(pixels)
        return self.forward_patches(self.embeddings.patches(pixels))

    def forward_patches(self, x_NYXW: Tensor) -> Tensor:
        """Features for the patches of another network, which stand in for CLIP's own.

        Args:
            x_NYXW: float[N, Y, X, W] with any grid.

        Returns:
            x_NYXW: float[N, Y, X, W], or with the class token appended, 2 W wide.

        Raises:
            ShapeError: if the patches have another width.
        """
        tokens_NPW = self.encode(x_NYXW)
        class_N1W, x_NPW = tokens_NPW[:, :1], tokens_NPW[:, 1:]
        if self.config.class_token == "keep":
            x_NPW = torch.cat([x_NPW, class_N1W.expand_as(x_NPW)], dim=-1)
        return rearrange(x_NPW, "n (y x) w -> n y x w", y=x_NYXW.shape[1])

    def forward_features(self, pixels: Tensor) -> Tensor:
        """All tokens float[N, 1 + P, W] of the selected block, the class token first."""
        self.require_pixels(pixels)
        return self.encode(self.embeddings.patches(pixels))

    def encode(self, x_NYXW: Tensor) -> Tensor:
        """All tokens float[N, 1 + P, W] of the selected block for patches float[N, Y, X, W]."""
        if x_NYXW.ndim != 4 or x_NYXW.shape[-1] != self.config.width:
            raise ShapeError(
                f"patches of shape {list(x_NYXW.shape)}", rule=f"this encoder takes float[N, Y, X, {self.config.width}]"
            )
        blocks, recompute = self.blocks[: self.config.blocks_run], self.config.gradient_checkpointing and self.training
        return run_blocks(blocks, self.pre_layrnorm(self.embeddings(x_NYXW)), recompute=recompute)

    @property
    def blocks(self) -> nn.ModuleList:
        """All transformer blocks."""
        return cast(nn.ModuleList, self.transformer["layers"])

    def idle_modules(self) -> tuple[nn.Module, ...]:
        return tuple(self.blocks[self.config.blocks_run :])
