"""A place in the config for a projector that the caller wrote as a plain `nn.Module`."""

from __future__ import annotations

from typing import Literal

from vlkit.config import Count
from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, ProjectorConfig, projectors


class SuppliedProjectorConfig(ProjectorConfig):
    """What the rest of the model must know about a projector that is passed in as a module."""

    type: Literal["supplied"] = "supplied"
    """Tag of the projector."""
    downsample: Count = 1
    """Side of the block that it merges into one token; a remainder counts as a block."""

    @property
    def merge(self) -> int:
        return self.downsample

    def grid_out(self, grid: Grid) -> Grid:
        return Grid(-(-grid.rows // self.merge), -(-grid.cols // self.merge))


@projectors.register(SuppliedProjectorConfig)
def _refuse(config: SuppliedProjectorConfig, *, in_dim: int, out_dim: int) -> Projector:
    raise ConfigError(
        "projector type 'supplied' has no module",
        rule="it stands for a module that is passed to the builder in Python",
        remedy="call .projector(module) on the builder, or register the module's class with its own tag",
    )
