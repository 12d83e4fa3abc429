"""Feed-forward layers: with GELU (vision) and gated with SiLU (decoder)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F


class MLP(nn.Module):
    """Linear, GELU, linear.

    Args:
        dim: width of input and output.
        hidden: width F between.
        approximate: "tanh" for the approximation, "none" for the exact GELU.
    """

    def __init__(self, dim: int, hidden: int, *, approximate: Literal["none", "tanh"] = "none") -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU(approximate=approximate)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """float[..., dim] to float[..., dim]."""
        return self.fc2(self.act(self.fc1(x)))


class GatedMLP(nn.Module):
    """`down(silu(gate(x)) * up(x))` without biases. Paper: arXiv:2002.05202.

    Args:
        dim: width of input and output.
        hidden: width F between.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(dim, hidden, bias=False)
        self.up_proj = nn.Linear(dim, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """float[..., dim] to float[..., dim]."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
