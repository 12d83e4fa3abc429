"""Feed-forward layers: with GELU (vision) and gated with SiLU (decoder)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlkit.nn.linear import Linear


class QuickGELU(nn.Module):
    """`x * sigmoid(1.702 x)`, the coarse approximation of GELU. Paper: arXiv:1606.08415, section 2."""

    def forward(self, x: Tensor) -> Tensor:
        """float[...] of the same shape."""
        return x * torch.sigmoid(1.702 * x)


class MLP(nn.Module):
    """Linear, GELU, linear.

    Args:
        dim: width of input and output.
        hidden: width F between.
        approximate: "none" for the exact GELU, "tanh" or "sigmoid" for its approximations.
    """

    def __init__(self, dim: int, hidden: int, *, approximate: Literal["none", "tanh", "sigmoid"] = "none") -> None:
        super().__init__()
        self.fc1 = Linear(dim, hidden)
        self.act = QuickGELU() if approximate == "sigmoid" else nn.GELU(approximate=approximate)
        self.fc2 = Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """float[..., dim] to float[..., dim]."""
        return self.fc2(self.act(self.fc1(x)))


class GatedMLP(nn.Module):
    """`down(silu(gate(x)) * up(x))`. Paper: arXiv:2002.05202.

    Args:
        dim: width of the input.
        hidden: width F between.
        out_dim: width of the output; None: that of the input.
        bias: whether the three linear layers have biases.
    """

    def __init__(self, dim: int, hidden: int, *, out_dim: int | None = None, bias: bool = False) -> None:
        super().__init__()
        self.gate_proj = Linear(dim, hidden, bias=bias)
        self.up_proj = Linear(dim, hidden, bias=bias)
        self.down_proj = Linear(hidden, out_dim or dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """float[..., dim] to float[..., out_dim]."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class SwiGLU(nn.Module):
    """`w3(silu(a) * b)` with `a` and `b` from one linear layer, as DINOv2 packs it. Paper: arXiv:2002.05202.

    Args:
        dim: width of input and output.
        hidden: width F of `a` and of `b`.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.w12 = Linear(dim, 2 * hidden)
        self.w3 = Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """float[..., dim] to float[..., dim]."""
        a, b = self.w12(x).chunk(2, dim=-1)
        return self.w3(F.silu(a) * b)
