"""RegNet's bottleneck blocks with squeeze and excitation.

Papers: RegNet arXiv:2003.13678; squeeze and excitation arXiv:1709.01507.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from vlkit.nn.neck import ChannelNorm
from vlkit.notation import Grid

NORM_EPS = 1e-5
SQUEEZE = 0.25
"""Width of the squeezed features as a share of the block's input width."""


class ConvNorm(nn.Sequential):
    """Convolution that keeps the grid, then a norm over the channels.

    Args:
        width: feature width before.
        out_width: feature width after.
        kernel: rows and columns that the convolution sees; beyond one, each channel is convolved by itself.
    """

    def __init__(self, width: int, out_width: int, *, kernel: int = 1) -> None:
        groups = width if kernel > 1 else 1
        conv = nn.Conv2d(width, out_width, kernel, padding=kernel // 2, groups=groups, bias=False)
        super().__init__(OrderedDict(conv=conv, bn=ChannelNorm(out_width, eps=NORM_EPS)))


class SqueezeExcite(nn.Module):
    """Gates each channel by what is in the whole tile."""

    def __init__(self, width: int, squeezed: int, *, bias: bool) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, squeezed, kernel_size=1, bias=bias)
        self.fc2 = nn.Conv2d(squeezed, width, kernel_size=1, bias=bias)

    def forward(self, x_NWYX: Tensor) -> Tensor:
        """float[N, W, Y, X] of the same shape."""
        mean = x_NWYX.mean(dim=(2, 3), keepdim=True)
        return x_NWYX * self.fc2(F.silu(self.fc1(mean))).sigmoid()


class Bottleneck(nn.Module):
    """Convolutions of one, of 3 x 3 and of one feature, gated in between, with a residual; SiLU after each norm.

    Args:
        width: feature width before.
        out_width: feature width after.
        bias: whether the two layers of the gate have biases; the convolutions have none, since norms follow them.
    """

    def __init__(self, width: int, out_width: int, *, bias: bool) -> None:
        super().__init__()
        self.conv1 = ConvNorm(width, out_width)
        self.conv2 = ConvNorm(out_width, out_width, kernel=3)
        self.se = SqueezeExcite(out_width, squeezed_width(width), bias=bias)
        self.conv3 = ConvNorm(out_width, out_width)
        self.downsample: nn.Module = nn.Identity() if width == out_width else ConvNorm(width, out_width)

    def forward(self, x_NWYX: Tensor) -> Tensor:
        """float[N, width, Y, X] to float[N, out_width, Y, X]."""
        y_NWYX = F.silu(self.conv2(F.silu(self.conv1(x_NWYX))))
        return F.silu(self.conv3(self.se(y_NWYX)) + self.downsample(x_NWYX))


class Stage(nn.Sequential):
    """Blocks one after the other, the first of which leads to another width.

    Args:
        width: feature width before.
        out_width: feature width after.
        blocks: number of blocks.
        bias: whether the layers of the gates have biases.
    """

    def __init__(self, width: int, out_width: int, *, blocks: int, bias: bool) -> None:
        widths = [width, *[out_width] * (blocks - 1)]
        named = {f"b{number}": Bottleneck(each, out_width, bias=bias) for number, each in enumerate(widths, start=1)}
        super().__init__(OrderedDict(named))


def squeezed_width(width: int) -> int:
    """Width of the squeezed features of a block with this input width."""
    return max(round(width * SQUEEZE), 1)


def stage_flops(grid: Grid, width: int, out_width: int, *, blocks: int) -> int:
    """Floating-point operations of a `Stage` on one tile, a multiply-add being two."""
    first = _block_flops(grid, width, out_width)
    return first + (blocks - 1) * _block_flops(grid, out_width, out_width)


def _block_flops(grid: Grid, width: int, out_width: int) -> int:
    shortcut = 0 if width == out_width else width * out_width
    convolutions = width * out_width + 9 * out_width + out_width**2 + shortcut
    return 2 * (grid.area * convolutions + 2 * out_width * squeezed_width(width))
