"""Perceiver resampler: a fixed number of learned queries reads the features of a tile.

Papers: Flamingo arXiv:2204.14198, section 2.1; Idefics2 arXiv:2405.02246, section 3.3.
"""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange, repeat
from pydantic import Field, model_validator
from torch import Tensor, nn

from vlkit.config import Count, Depth, Width
from vlkit.errors import ConfigError
from vlkit.nn.cross_attention import CrossAttention
from vlkit.nn.linear import Linear
from vlkit.nn.mlp import GatedMLP
from vlkit.nn.norm import RMSNorm
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, ProjectorConfig, projectors


class ResamplerConfig(ProjectorConfig):
    """Takes the features to the decoder's width, then reads them by learned queries; the defaults are Idefics2's."""

    type: Literal["resampler"] = "resampler"
    """Tag of the projector."""
    queries: Count | tuple[Count, Count] = 64
    """Tokens that each tile becomes, whatever its grid: in rows and columns, or, as a number, in one row."""
    depth: Depth = 3
    """Number of blocks."""
    heads: Count = 16
    """Query heads of a block."""
    kv_heads: Count = 4
    """Key/value heads of a block, a divisor of the query heads."""
    head_width: Width = 96
    """Width of a head."""
    mlp_ratio: Count = 4
    """Hidden width of a block's gated MLP is `mlp_ratio` times the decoder's."""
    input_width: Width | None = 14336
    """Hidden width of the gated MLP that takes the features to the decoder's width; None: one linear layer does it."""
    norm_eps: float = Field(default=1e-5, gt=0, le=1)
    """Added to the mean square in the norms."""
    use_bias: bool = False
    """Whether the linear layers have biases."""

    def grid_out(self, grid: Grid) -> Grid:
        return Grid(*self.queries) if isinstance(self.queries, tuple) else Grid(1, self.queries)

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        queries, seen = self.grid_out(grid).area, grid.area + self.grid_out(grid).area
        attended, shared = self.heads * self.head_width, self.kv_heads * self.head_width
        linear = out_dim * (2 * queries * attended + 2 * seen * shared)
        block = linear + 2 * queries * seen * attended + 3 * queries * self.mlp_ratio * out_dim**2
        inner = self.input_width
        into = in_dim * out_dim if inner is None else inner * (2 * in_dim + out_dim)
        return 2 * (grid.area * into + self.depth * block)

    @model_validator(mode="after")
    def _check(self) -> ResamplerConfig:
        if self.heads % self.kv_heads:
            raise ConfigError(
                f"{self.heads} heads with kv_heads {self.kv_heads}",
                rule="the key/value heads divide the query heads",
                remedy="give as many kv_heads as heads, or a divisor of them",
            )
        return self


class ResamplerBlock(nn.Module):
    """Cross-attention and gated MLP, both residual and with norms before."""

    def __init__(self, config: ResamplerConfig, width: int) -> None:
        super().__init__()
        self.input_latents_norm = RMSNorm(width, eps=config.norm_eps)
        self.input_context_norm = RMSNorm(width, eps=config.norm_eps)
        self.self_attn = CrossAttention(
            width,
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_width=config.head_width,
            bias=config.use_bias,
        )
        self.post_attention_layernorm = RMSNorm(width, eps=config.norm_eps)
        self.mlp = GatedMLP(width, config.mlp_ratio * width, bias=config.use_bias)

    def forward(self, x_NTD: Tensor, context_NPD: Tensor) -> Tensor:
        """Queries float[N, T, D] after they have read the context float[N, P, D]."""
        x_NTD = x_NTD + self.self_attn(self.input_latents_norm(x_NTD), self.input_context_norm(context_NPD))
        return x_NTD + self.mlp(self.post_attention_layernorm(x_NTD))


class PerceiverResampler(nn.Module):
    """Learned queries, blocks, norm."""

    def __init__(self, config: ResamplerConfig, *, queries: int, width: int) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.empty(queries, width))
        self.layers = nn.ModuleList(ResamplerBlock(config, width) for _ in range(config.depth))
        self.norm = RMSNorm(width, eps=config.norm_eps)
        nn.init.normal_(self.latents, std=width**-0.5)

    def forward(self, context_NPD: Tensor) -> Tensor:
        """float[N, P, D] to float[N, T, D]."""
        x_NTD = repeat(self.latents, "t d -> n t d", n=len(context_NPD))
        for layer in self.layers:
            x_NTD = layer(x_NTD, context_NPD)
        return self.norm(x_NTD)


@projectors.register(ResamplerConfig)
class Resampler(Projector):
    """Features at the decoder's width, read by queries; parameter names follow Idefics2's checkpoints."""

    config: ResamplerConfig

    def __init__(self, config: ResamplerConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.queries = config.grid_out(Grid(1, 1))
        self.modality_projection: nn.Module = (
            Linear(in_dim, out_dim, bias=config.use_bias)
            if config.input_width is None
            else GatedMLP(in_dim, config.input_width, out_dim=out_dim, bias=config.use_bias)
        )
        self.perceiver_resampler = PerceiverResampler(config, queries=self.queries.area, width=out_dim)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        context_NPD = rearrange(self.modality_projection(x_NYXW), "n y x d -> n (y x) d")
        return rearrange(self.perceiver_resampler(context_NPD), "n (y x) d -> n y x d", y=self.queries.rows)
