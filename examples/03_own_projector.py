"""A projector of one's own: registered, built by its tag, saved in a config, refused where it does not fit."""

from typing import Literal

import torch
from torch import Tensor, nn

import vlkit
from vlkit.projectors import Projector, ProjectorConfig, projectors


class GatedConfig(ProjectorConfig):
    """A linear layer with a gate."""

    type: Literal["gated"] = "gated"
    use_bias: bool = True
    """Whether both layers have biases."""


@projectors.register(GatedConfig)
class Gated(Projector):
    """Opens or closes every number of its output."""

    def __init__(self, config: GatedConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.up = nn.Linear(in_dim, out_dim, bias=config.use_bias)
        self.gate = nn.Linear(in_dim, out_dim, bias=config.use_bias)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        return self.up(x_NYXW) * self.gate(x_NYXW).sigmoid()


model = vlkit.DeepseekVLV2Builder("mini").projector("gated", use_bias=False).build()
print(model.projector)
print(list(model.projector(torch.zeros(1, 8, 8, 64)).shape))

saved = model.config.model_dump_json()
assert vlkit.DeepseekVLV2Config.model_validate_json(saved) == model.config

try:
    vlkit.DeepseekVLV2Builder("mini").projector("gatde")
except vlkit.VlkitError as error:
    print(error)
