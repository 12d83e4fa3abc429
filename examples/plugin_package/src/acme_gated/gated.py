"""A linear projector whose output is opened and closed by a gate."""

from typing import Literal

from torch import Tensor, nn

from vlkit.projectors import Projector, ProjectorConfig, projectors


class GatedConfig(ProjectorConfig):
    """A linear layer with a gate."""

    type: Literal["gated"] = "gated"
    """Tag of the projector."""
    use_bias: bool = True
    """Whether both layers have biases."""


@projectors.register(GatedConfig)
class Gated(Projector):
    """Opens or closes every number of a linear layer's output."""

    def __init__(self, config: GatedConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.up = nn.Linear(in_dim, out_dim, bias=config.use_bias)
        self.gate = nn.Linear(in_dim, out_dim, bias=config.use_bias)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        """Float[N, Y, X, W] to float[N, Y, X, D]."""
        self.require_width(x_NYXW)
        return self.up(x_NYXW) * self.gate(x_NYXW).sigmoid()
