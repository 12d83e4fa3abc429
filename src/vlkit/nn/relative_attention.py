"""Attention among the features of a grid with decomposed relative positions.

Papers: MViTv2 arXiv:2112.01526, section 4.1; ViTDet arXiv:2203.16527; SAM arXiv:2304.02643.
"""

from __future__ import annotations

import torch
from einops import einsum, rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from vlkit.nn.linear import Linear


class RelativeAttention(nn.Module):
    """Attention whose logits are `q . k / sqrt(K) + q . h[y - y'] + q . w[x - x']`.

    Such a sum is one inner product of longer vectors: a query is followed by its terms for every row and column, a key
    by a one for its own row and column. So no table of all pairs of features is made, and any fused kernel runs it.

    Args:
        width: feature width W.
        heads: attention heads.
        side: rows and columns of the grid that the relative positions are learned for; resized for other grids.
    """

    def __init__(self, width: int, *, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, width // heads))

    def forward(self, x_NYXW: Tensor) -> Tensor:
        """Attended features, float[N, Y, X, W]."""
        rows, head_width = x_NYXW.shape[1], self.rel_pos_h.shape[1]
        attended = F.scaled_dot_product_attention(*self.placed_qkv(x_NYXW), scale=head_width**-0.5)
        return self.proj(rearrange(attended[..., :head_width], "n h (y x) k -> n y x (h k)", y=rows))

    def placed_qkv(self, x_NYXW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values float[N, H, P, K + Y + X]; fused kernels want zeros to make the last as wide."""
        rows, cols = x_NYXW.shape[1:3]
        q, k, v = rearrange(self.qkv(x_NYXW), "n y x (three h k) -> three n h y x k", three=3, h=self.heads)
        query = torch.cat([q, self.place_terms(q) * q.shape[-1] ** 0.5], dim=-1)
        key = torch.cat([k, places(rows, cols, like=k).expand(*k.shape[:2], -1, -1, -1)], dim=-1)
        query, key, value = (each.flatten(2, 3) for each in (query, key, F.pad(v, (0, rows + cols))))
        return query, key, value

    def place_terms(self, q: Tensor) -> Tensor:
        """What each query adds to its logits with every row and column: float[N, H, Y, X, K] to [N, H, Y, X, Y + X]."""
        rows, cols = q.shape[2:4]
        to_row = einsum(q, offsets(self.rel_pos_h, rows), "n h y x k, y row k -> n h y x row")
        to_col = einsum(q, offsets(self.rel_pos_w, cols), "n h y x k, x col k -> n h y x col")
        return torch.cat([to_row, to_col], dim=-1)


def offsets(table: Tensor, side: int) -> Tensor:
    """Relative position of each pair of rows (or columns): `[i, j]` is the table's entry for the offset `i - j`.

    Args:
        table: float[2 n - 1, K], for the offsets from `1 - n` to `n - 1`; resized linearly if `side` is not n.
        side: number of rows (or columns).

    Returns:
        float[side, side, K].
    """
    if len(table) != 2 * side - 1:
        wide = table.to(torch.promote_types(table.dtype, torch.float32))
        resized = F.interpolate(rearrange(wide, "step k -> 1 k step"), size=2 * side - 1, mode="linear")
        table = rearrange(resized, "1 k step -> step k").to(table.dtype)
    place = torch.arange(side, device=table.device)
    return table[place[:, None] - place + side - 1]


def places(rows: int, cols: int, *, like: Tensor) -> Tensor:
    """Row and column of each place as ones among zeros, float[rows, cols, rows + cols]."""
    row = repeat(torch.eye(rows, dtype=like.dtype, device=like.device), "y row -> y x row", x=cols)
    col = repeat(torch.eye(cols, dtype=like.dtype, device=like.device), "x col -> y x col", y=rows)
    return torch.cat([row, col], dim=-1)
