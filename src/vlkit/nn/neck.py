"""Convolutions after a transformer: the neck of SAM and the strided ones that compress its grid.

Papers: SAM arXiv:2304.02643, appendix A; DeepSeek-OCR arXiv:2510.18234, section 3.2.
"""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn

from vlkit.notation import Grid

EPS = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels at each place of float[N, W, Y, X]."""

    def forward(self, x_NWYX: Tensor) -> Tensor:
        """float[N, W, Y, X] of the same shape."""
        return rearrange(super().forward(rearrange(x_NWYX, "n w y x -> n y x w")), "n y x w -> n w y x")


class Neck(nn.Sequential):
    """A convolution to another width and one among neighbours, each followed by a norm.

    Args:
        width: feature width before.
        out_width: feature width after.
    """

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__(
            nn.Conv2d(width, out_width, kernel_size=1, bias=False),
            ChannelNorm(out_width, eps=EPS),
            nn.Conv2d(out_width, out_width, kernel_size=3, padding=1, bias=False),
            ChannelNorm(out_width, eps=EPS),
        )

    def forward(self, x_NYXW: Tensor) -> Tensor:
        """float[N, Y, X, width] to float[N, Y, X, out_width]."""
        x_NWYX = rearrange(x_NYXW, "n y x w -> n w y x")
        for layer in self:
            x_NWYX = layer(x_NWYX)
        return rearrange(x_NWYX, "n w y x -> n y x w")


class HalvingConv(nn.Conv2d):
    """Convolution of 3 x 3 features with stride 2.

    Args:
        width: feature width before.
        out_width: feature width after.
    """

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__(width, out_width, kernel_size=3, stride=2, padding=1, bias=False)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        """float[N, Y, X, width] to float[N, Y', X', out_width] with the grid `halved`."""
        return rearrange(super().forward(rearrange(x_NYXW, "n y x w -> n w y x")), "n w y x -> n y x w")


def halved(grid: Grid) -> Grid:
    """Half the rows and columns, rounded up."""
    return Grid(-(-grid.rows // 2), -(-grid.cols // 2))
