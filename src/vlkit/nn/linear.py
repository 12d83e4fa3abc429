"""Products of weights with tokens, in the way that this machine computes them fast."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HALF = (torch.bfloat16, torch.float16)
FEW = 96
"""Tokens up to which a CPU with products in half precision is faster with the weights as the left factor."""
NARROW = 6
"""Tokens up to which a CPU without products in half precision is faster in half precision all the same."""
BLOCK = 2**20
"""Numbers that are widened to float32 at a time, so that the copy stays in the cache: 4 MiB."""
ROWS = 512
"""Rows of weights that are widened at a time all the same: products with fewer are slower by a tenth and more."""
MANY = 512
"""Tokens that are multiplied at a time there, so that their sums stay in the cache."""
LANES = 8
"""Numbers of float32 in a vector there: products of a multiple of this many tokens take less time than of fewer, and
the least if a token's numbers lie side by side."""
LACKS_HALF = torch.backends.cpu.get_cpu_capability() == "AVX2"
"""Whether this machine is an x86 CPU without AVX-512, where PyTorch has no fast product of matrices in half precision:
it is a fifth as fast as the one in float32."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear`, in half precision on a CPU as `weight @ x^T` where that is faster.

    The kernels there rearrange their right factor before each product. If that is the weights and the tokens are few,
    it takes longer than the product. Where there are no such kernels, the weights are widened.

    Args:
        x: float[..., in].
        weight: float[out, in].
        bias: float[out].

    Returns:
        float[..., out].
    """
    rows, half, wide = x.shape[:-1].numel(), _in_half_on_cpu(x, weight), widens(x, weight)
    if half and rows == 1:
        out = torch.mv(weight, x.flatten())
    elif wide and rows > NARROW:
        out = x.new_empty(rows, len(weight))
        multiply_widened(weight, x.reshape(rows, x.shape[-1]).t(), out=out.t())
    elif half and not wide and rows <= FEW:
        out = (weight @ x.reshape(rows, x.shape[-1]).t()).t().contiguous()
    else:
        return F.linear(x, weight, bias)
    out = out.view(*x.shape[:-1], len(weight))
    return out if bias is None else out + bias


def multiply(weight: Tensor, x_DM: Tensor) -> Tensor:
    """Matrix product float[out, M] of weights float[out, D] with the columns float[D, M].

    One column in half precision on a CPU goes through the matrix-vector product, which reads weights faster there.
    Many columns on a CPU that multiplies no matrices in half precision are multiplied in float32.
    """
    columns = x_DM.shape[1]
    if _in_half_on_cpu(x_DM, weight) and columns == 1:
        return torch.mv(weight, x_DM[:, 0])[:, None]
    if not widens(x_DM, weight):
        return weight @ x_DM
    if columns <= NARROW:
        return F.linear(x_DM.t().contiguous(), weight).t()
    return multiply_widened(weight, x_DM, out=x_DM.new_empty(len(weight), columns))


def multiply_widened(weight: Tensor, x_DM: Tensor, *, out: Tensor) -> Tensor:
    """The product as sums of float32, each rounded once into `out`, block by block of weights and of columns."""
    rows = max(ROWS, BLOCK // weight.shape[1])
    for sums, few_DM in zip(out.split(MANY, dim=1), x_DM.split(MANY, dim=1), strict=True):
        few_MD = few_DM.t().to(torch.float32, memory_format=torch.contiguous_format)
        few = len(few_MD)
        if few % LANES:
            few_MD = F.pad(few_MD, (0, 0, 0, -few % LANES))
        for part, block in zip(sums.split(rows), weight.split(rows), strict=True):
            part.copy_((block.float() @ few_MD.t())[:, :few])
    return out


def multiply_each(weights: Tensor, x_HDM: Tensor) -> Tensor:
    """`multiply` of weights float[H, out, D] with float[H, D, M], head by head where no kernel does them at once.

    Elsewhere weights that lie column by column are the right factor, as they are.
    """
    if LACKS_HALF and _in_half_on_cpu(x_HDM, weights):
        return torch.stack([multiply(weight, x_DM) for weight, x_DM in zip(weights, x_HDM, strict=True)])
    return weights @ x_HDM if weights.stride(-1) == 1 else (x_HDM.mT @ weights.mT).mT


def widens(x: Tensor, weight: Tensor) -> bool:
    """Whether many products of these are computed in float32: not for gradients, which would keep the copies."""
    learns = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return LACKS_HALF and _in_half_on_cpu(x, weight) and not learns


def _in_half_on_cpu(x: Tensor, weight: Tensor) -> bool:
    same = x.dtype in HALF and x.dtype == weight.dtype
    return same and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


class Linear(nn.Linear):
    """`nn.Linear` computed by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """float[..., in] to float[..., out]."""
        return linear(x, self.weight, self.bias)
