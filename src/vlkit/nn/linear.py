"""Products of weights with few tokens, which are bound by reading the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HALF = (torch.bfloat16, torch.float16)
FEW = 96
"""Tokens up to which a CPU in half precision is faster with the weights as the left factor."""


def multiply(weight: Tensor, x_DM: Tensor) -> Tensor:
    """Matrix product float[out, M] of weights float[out, D] with the columns float[D, M].

    One column in half precision on a CPU goes through the matrix-vector product, which reads weights faster there.
    """
    if x_DM.shape[1] == 1 and _in_half_on_cpu(x_DM, weight):
        return torch.mv(weight, x_DM[:, 0])[:, None]
    return weight @ x_DM


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear`, for few tokens in half precision on a CPU as `weight @ x^T`.

    The kernels there rearrange their right factor before each product. If that is the weights and the tokens are few,
    it takes longer than the product.

    Args:
        x: float[..., in].
        weight: float[out, in].
        bias: float[out].

    Returns:
        float[..., out].
    """
    rows = x.shape[:-1].numel()
    if rows > FEW or not _in_half_on_cpu(x, weight):
        return F.linear(x, weight, bias)
    if rows == 1:
        out = torch.mv(weight, x.reshape(-1)).view(*x.shape[:-1], -1)
    else:
        out = (weight @ x.reshape(rows, -1).t()).t().contiguous().view(*x.shape[:-1], -1)
    return out if bias is None else out + bias


def _in_half_on_cpu(x: Tensor, weight: Tensor) -> bool:
    same = x.dtype in HALF and x.dtype == weight.dtype
    return same and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


class Linear(nn.Linear):
    """`nn.Linear` computed by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """float[..., in] to float[..., out]."""
        return linear(x, self.weight, self.bias)
