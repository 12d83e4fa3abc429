"""LayerScale: one learned factor per channel on what a block adds. Paper: arXiv:2103.17239."""

from __future__ import annotations

import torch
from torch import Tensor, nn

START = 1e-5
"""Factor before training; small, so that a deep stack begins close to the identity."""


class LayerScale(nn.Module):
    """Multiplies each channel by its factor.

    Args:
        dim: width of the input.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), START))

    def forward(self, x: Tensor) -> Tensor:
        """float[..., dim] to float[..., dim]."""
        return x * self.gamma
