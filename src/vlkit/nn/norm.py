"""Root-mean-square layer norm. Paper: arXiv:1910.07467."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RMSNorm(nn.Module):
    """Normalises in float32 (or wider), casts back, then multiplies by the weight, as Llama and DeepSeek-V2 do.

    Args:
        dim: width of the input.
        eps: added to the mean square.
    """

    def __init__(self, dim: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """float[..., dim] to float[..., dim]."""
        return self.weight * F.rms_norm(x, x.shape[-1:], eps=self.eps)
