"""Resampling of grids: of learned positions to another picture size, of features, of pictures themselves."""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from vlkit.notation import Grid


def resize(x_NYXW: Tensor, grid: Grid, *, mode: Literal["bilinear", "bicubic"], antialias: bool = False) -> Tensor:
    """Grid with other numbers of rows and columns, corners not aligned; the same tensor if they are the same.

    Args:
        x_NYXW: float[N, Y, X, W]; resampled in float32 or wider, and cast back.
        grid: rows and columns afterwards.
        mode: how values between places are found.
        antialias: whether a smaller grid averages over what it leaves out.

    Returns:
        float[N, *grid, W].
    """
    if tuple(x_NYXW.shape[1:3]) == grid:
        return x_NYXW
    wide = rearrange(x_NYXW.to(torch.promote_types(x_NYXW.dtype, torch.float32)), "n y x w -> n w y x")
    resized = F.interpolate(wide, size=tuple(grid), mode=mode, antialias=antialias, align_corners=False)
    return rearrange(resized, "n w y x -> n y x w").to(x_NYXW.dtype)
