"""Attention of queries to a context. Papers: Perceiver arXiv:2103.03206, Flamingo arXiv:2204.14198, section 2.1."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from vlkit.nn.linear import Linear


class CrossAttention(nn.Module):
    """Queries attend to the context and to each other; fewer key/value heads are shared by groups of query heads.

    Args:
        width: width of queries and context.
        heads: query heads H.
        kv_heads: key/value heads G, a divisor of H.
        head_width: width K of a head.
        bias: whether the four linear layers have biases.
    """

    def __init__(self, width: int, *, heads: int, kv_heads: int, head_width: int, bias: bool) -> None:
        super().__init__()
        self.head_width, self.grouped = head_width, kv_heads != heads
        self.q_proj = Linear(width, heads * head_width, bias=bias)
        self.k_proj = Linear(width, kv_heads * head_width, bias=bias)
        self.v_proj = Linear(width, kv_heads * head_width, bias=bias)
        self.o_proj = Linear(heads * head_width, width, bias=bias)

    def forward(self, x_NTD: Tensor, context_NPD: Tensor) -> Tensor:
        """Attended values, float[N, T, D].

        Args:
            x_NTD: float[N, T, D], the queries.
            context_NPD: float[N, P, D].
        """
        seen_NSD = torch.cat([context_NPD, x_NTD], dim=1)
        projected = (self.q_proj(x_NTD), self.k_proj(seen_NSD), self.v_proj(seen_NSD))
        q_NHTK, k_NGSK, v_NGSK = (rearrange(each, "n t (h k) -> n h t k", k=self.head_width) for each in projected)
        y_NHTK = F.scaled_dot_product_attention(q_NHTK, k_NGSK, v_NGSK, enable_gqa=self.grouped)
        return self.o_proj(rearrange(y_NHTK, "n h t k -> n t (h k)"))
