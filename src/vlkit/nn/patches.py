"""Projection of patches. Paper: ViT, arXiv:2010.11929, section 3.1."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn

from vlkit.nn.linear import linear


class PatchConv(nn.Conv2d):
    """Each patch of P x P pixels times the same weights.

    Its parameters are those of a convolution whose stride is its kernel, its computation is one matrix product.

    Args:
        patch_size: side P.
        width: width W of a patch's features.
        bias: whether there is one.
    """

    def __init__(self, patch_size: int, width: int, *, bias: bool = True) -> None:
        super().__init__(3, width, kernel_size=patch_size, stride=patch_size, bias=bias)
        self.patch_size = patch_size

    def forward(self, pixels: Tensor) -> Tensor:
        """float[N, 3, height, width] to float[N, Y, X, W]; pixels beyond the last whole patch are not used."""
        rows, cols = (side // self.patch_size for side in pixels.shape[-2:])
        whole = pixels[..., : rows * self.patch_size, : cols * self.patch_size]
        x_NYXP = rearrange(whole, "n c (y a) (x b) -> n y x (c a b)", y=rows, x=cols)
        return linear(x_NYXP, self.weight.flatten(1), self.bias)
