"""Transformer block of ViTDet and SAM. Papers: arXiv:2203.16527, section 3; arXiv:2304.02643, appendix A."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from vlkit.nn.linear import Linear
from vlkit.nn.relative_attention import RelativeAttention
from vlkit.nn.windows import join_windows, split_windows
from vlkit.notation import Grid

EPS = 1e-6


class WindowBlock(nn.Module):
    """Pre-norm block; attention sees the whole grid, or windows of it, whose padding takes part.

    Args:
        width: feature width W.
        heads: attention heads.
        mlp_width: hidden width F of the MLP.
        side: rows and columns of a window, or of the grid that the relative positions are learned for.
        windowed: whether attention stays within windows.
    """

    def __init__(self, width: int, *, heads: int, mlp_width: int, side: int, windowed: bool) -> None:
        super().__init__()
        self.side, self.windowed = side, windowed
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn = RelativeAttention(width, heads=heads, side=side)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.mlp = nn.Sequential(
            OrderedDict(lin1=Linear(width, mlp_width), act=nn.GELU(), lin2=Linear(mlp_width, width))
        )

    def forward(self, x_NYXW: Tensor) -> Tensor:
        """One block, float[N, Y, X, W]."""
        x_NYXW = x_NYXW + self.attend(self.norm1(x_NYXW))
        return x_NYXW + self.mlp(self.norm2(x_NYXW))

    def attend(self, x_NYXW: Tensor) -> Tensor:
        """Attention among all features, or among those of each window, float[N, Y, X, W]."""
        if not self.windowed:
            return self.attn(x_NYXW)
        return join_windows(self.attn(split_windows(x_NYXW, self.side)), Grid(*x_NYXW.shape[1:3]))
