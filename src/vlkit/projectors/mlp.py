"""Multi-layer projector with the exact GELU."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from vlkit.config import Depth
from vlkit.nn.linear import Linear
from vlkit.projectors.base import Projector, projectors
from vlkit.projectors.pooling import PoolingConfig, TokenPooling


def gelu_mlp(widths: list[int], *, bias: bool, norm: bool = False) -> nn.Sequential:
    """Linear layers through `widths` with the exact GELU between them, after a layer norm if `norm` is set."""
    layers: list[nn.Module] = [nn.LayerNorm(widths[0])] if norm else []
    for number, (width_in, width_out) in enumerate(pairwise(widths)):
        layers += [nn.GELU()] if number else []
        layers += [Linear(width_in, width_out, bias=bias)]
    return nn.Sequential(*layers)


def gelu_layers(width: int, *, count: int, bias: bool) -> nn.Sequential:
    """`count` times the exact GELU and a linear layer, all of the same width."""
    return nn.Sequential(*(layer for _ in range(count) for layer in (nn.GELU(), Linear(width, width, bias=bias))))


def mlp_weights(widths: list[int]) -> int:
    """Weights of linear layers through `widths`, without biases."""
    return sum(width_in * width_out for width_in, width_out in pairwise(widths))


class MlpGeluConfig(PoolingConfig):
    """`depth` linear layers with GELU between them."""

    type: Literal["mlp_gelu"] = "mlp_gelu"
    """Tag of the projector."""
    depth: Depth = 2
    """Number of linear layers: W to D, then D to D."""

    def layer_weights(self, *, in_dim: int, out_dim: int) -> int:
        return in_dim * out_dim + (self.depth - 1) * out_dim**2


@projectors.register(MlpGeluConfig)
class MlpGelu(Projector):
    """MLP on each feature. Paper: arXiv:2310.03744, section 3.3."""

    config: MlpGeluConfig

    def __init__(self, config: MlpGeluConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.token_pooling_layer = TokenPooling(in_dim, bias=config.use_bias) if config.token_pooling else None
        self.layers = gelu_mlp([in_dim, *[out_dim] * config.depth], bias=config.use_bias)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        if self.token_pooling_layer is not None:
            x_NYXW = self.token_pooling_layer(x_NYXW)
        return self.layers(x_NYXW)
