"""Windows of a grid, for attention among near features only. Paper: ViTDet arXiv:2203.16527, section 3."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from vlkit.notation import Grid


def window_grid(grid: Grid, side: int) -> Grid:
    """Rows and columns of windows that cover a grid."""
    return Grid(-(-grid.rows // side), -(-grid.cols // side))


def split_windows(x_NYXW: Tensor, side: int) -> Tensor:
    """Windows of `side` x `side` features, row by row; zeros at the bottom and right make the last ones whole.

    Args:
        x_NYXW: float[N, Y, X, W].
        side: rows and columns of a window.

    Returns:
        float[N * r * c, side, side, W], `r` and `c` being the rows and columns of windows.
    """
    rows, cols = x_NYXW.shape[1:3]
    padded = F.pad(x_NYXW, (0, 0, 0, -cols % side, 0, -rows % side))
    return rearrange(padded, "n (r y) (c x) w -> (n r c) y x w", y=side, x=side)


def join_windows(windows: Tensor, grid: Grid) -> Tensor:
    """The grid that `split_windows` has cut, without what it has padded.

    Args:
        windows: float[N * r * c, side, side, W].
        grid: rows Y and columns X.

    Returns:
        float[N, Y, X, W].
    """
    r, c = window_grid(grid, windows.shape[1])
    whole = rearrange(windows, "(n r c) y x w -> n (r y) (c x) w", r=r, c=c)
    return whole[:, : grid.rows, : grid.cols]
