"""The simplest projectors: nothing at all, and one linear layer."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from vlkit.errors import ConfigError
from vlkit.nn.linear import Linear as LinearLayer
from vlkit.projectors.base import Projector, projectors
from vlkit.projectors.pooling import PoolingConfig, TokenPooling


class IdentityConfig(PoolingConfig):
    """Features pass unchanged; encoder and decoder must have the same width."""

    type: Literal["identity"] = "identity"
    """Tag of the projector."""

    def check(self, *, in_dim: int, out_dim: int) -> None:
        if in_dim != out_dim:
            raise ConfigError(
                f"projector 'identity' between encoder width {in_dim} and decoder width {out_dim}",
                rule="without a layer the widths are equal",
                remedy="use the projector 'linear' or 'mlp_gelu'",
            )


@projectors.register(IdentityConfig)
class Identity(Projector):
    """Passes features on, pooled if the config says so."""

    config: IdentityConfig

    def __init__(self, config: IdentityConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.token_pooling_layer = TokenPooling(in_dim, bias=config.use_bias) if config.token_pooling else None

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        return x_NYXW if self.token_pooling_layer is None else self.token_pooling_layer(x_NYXW)


class LinearConfig(PoolingConfig):
    """One linear layer on each feature."""

    type: Literal["linear"] = "linear"
    """Tag of the projector."""

    def layer_weights(self, *, in_dim: int, out_dim: int) -> int:
        return in_dim * out_dim


@projectors.register(LinearConfig)
class Linear(Projector):
    """Linear map from W to D. Paper: arXiv:2304.08485, section 4.1."""

    config: LinearConfig

    def __init__(self, config: LinearConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.token_pooling_layer = TokenPooling(in_dim, bias=config.use_bias) if config.token_pooling else None
        self.layers = LinearLayer(in_dim, out_dim, bias=config.use_bias)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        if self.token_pooling_layer is not None:
            x_NYXW = self.token_pooling_layer(x_NYXW)
        return self.layers(x_NYXW)
