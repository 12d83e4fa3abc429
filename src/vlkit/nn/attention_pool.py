"""Attention pooling: one learned query attends to all features of a tile."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from vlkit.nn.linear import Linear
from vlkit.nn.mlp import MLP


class AttentionPool(nn.Module):
    """The "map" head of SigLIP: attention from a latent query, then a residual MLP with the exact GELU.

    Args:
        width: feature width W.
        heads: attention heads.
        mlp_width: hidden width of the MLP.
    """

    def __init__(self, width: int, *, heads: int, mlp_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.latent = nn.Parameter(torch.empty(1, 1, width))
        self.q = Linear(width, width)
        self.kv = Linear(width, 2 * width)
        self.proj = Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width, mlp_width)
        nn.init.trunc_normal_(self.latent, std=width**-0.5)

    def forward(self, x_NPW: Tensor) -> Tensor:
        """float[N, P, W] to float[N, W]."""
        query = self.q(self.latent.expand(len(x_NPW), -1, -1))
        q = rearrange(query, "n one (h k) -> n h one k", h=self.heads)
        k, v = rearrange(self.kv(x_NPW), "n p (two h k) -> two n h p k", two=2, h=self.heads)
        pooled = self.proj(rearrange(F.scaled_dot_product_attention(q, k, v), "n h one k -> n one (h k)"))
        return (pooled + self.mlp(self.norm(pooled)))[:, 0]
