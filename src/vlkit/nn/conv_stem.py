"""Patches embedded by several small convolutions in place of one large one.

Paper: Xiao et al., "Early Convolutions Help Transformers See Better", arXiv:2106.14881. A transformer behind it
needs fewer passes over the data and depends less on the optimiser's settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import gelu

from vlkit.notation import Size

KERNEL = 3
"""Rows and columns that a convolution sees."""
HALVED_EVERY = 2
"""Of so many convolutions in a row the first halves the picture."""


class ConvStem(nn.Module):
    """3x3 convolutions with GELU, of which the first, third and so on halve the picture, then a projection to W.

    The paper has batch norm and ReLU behind each convolution; without the norm, a tile does not depend on the others of
    its batch. Patches overlap: a feature also sees the pixels around its own.

    Args:
        channels: of each convolution, at least one.
        width: feature width W.
    """

    def __init__(self, *, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, KERNEL, stride=_step(number), padding=KERNEL // 2)
            for number, (before, after) in enumerate(pairwise((3, *channels)))
        )
        self.proj = nn.Conv2d(channels[-1], width, kernel_size=1)
        for conv in (*self.convs, self.proj):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)

    def forward(self, pixels: Tensor) -> Tensor:
        """float[N, 3, height, width] to float[N, P, W]; `patch_side` divides height and width."""
        maps = pixels
        for conv in self.convs:
            maps = gelu(conv(maps))
        return rearrange(self.proj(maps), "n w y x -> n (y x) w").contiguous()


def patch_side(channels: Sequence[int]) -> int:
    """Side in pixels of the patches that a stem of these channels gives a feature to.

    Examples:
        >>> patch_side((32, 32, 64, 64, 128))
        8
    """
    return prod(map(_step, range(len(channels))))


def stem_flops(channels: Sequence[int], width: int, *, size: Size) -> int:
    """Floating-point operations of a `ConvStem` on one tile, a multiply-add being two."""
    maps = _maps(channels, size)
    convolutions = sum(KERNEL**2 * before * after * places for (before, _), (after, places) in pairwise(maps))
    last, patches = maps[-1]
    return 2 * (convolutions + patches * last * width)


def stem_bytes(channels: Sequence[int], width: int, *, size: Size, itemsize: int) -> int:
    """Most bytes alive at once in a `ConvStem` on one tile without gradients; the pixels are not counted.

    A map lives beside the next one before and after its GELU, the last map beside the features in either order.
    """
    _, *maps = _maps(channels, size)
    numbers = [0, *(each * places for each, places in maps)]
    features = maps[-1][1] * width
    return max(before + 2 * after for before, after in pairwise([*numbers, features])) * itemsize


def _step(number: int) -> int:
    return 1 if number % HALVED_EVERY else 2


def _maps(channels: Sequence[int], size: Size) -> list[tuple[int, int]]:
    """Channels and places of the tile and of what each convolution makes of it."""
    maps = [(3, size.width * size.height)]
    for number, each in enumerate(channels):
        maps.append((each, maps[-1][1] // _step(number) ** 2))
    return maps
