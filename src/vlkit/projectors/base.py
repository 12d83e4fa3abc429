"""The projector contract: a grid of vision features in, a grid of decoder-wide features out."""

from __future__ import annotations

from typing import Annotated

from pydantic import SerializeAsAny
from torch import Tensor, nn

from vlkit.config import Config
from vlkit.errors import ConfigError, ShapeError
from vlkit.notation import Grid
from vlkit.registry import Registry


class ProjectorConfig(Config):
    """Base of projector configs: says without weights what becomes of the grid."""

    type: str
    """Tag of the projector."""

    @property
    def merge(self) -> int:
        """Side of the block of features that becomes one token; 1 keeps the grid."""
        return 1

    def grid_out(self, grid: Grid) -> Grid:
        """Rows and columns after the projector."""
        return grid

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        """Floating-point operations for one tile, counting a multiply-add as two; 0 if none or unknown.

        Args:
            grid: rows and columns of the tile's features before the projector.
            in_dim: width W of the encoder's features.
            out_dim: width D of the decoder.
        """
        return 0

    def check_grid(self, grid: Grid) -> None:
        """Refuse grids of features that this projector cannot take.

        Raises:
            ConfigError: naming the grid, the rule and the remedy.
        """

    def check(self, *, in_dim: int, out_dim: int) -> None:
        """Refuse widths that this projector cannot connect.

        Raises:
            ConfigError: naming both widths, the rule and the remedy.
        """


class Projector(nn.Module):
    """Connects encoder and decoder; subclasses define `forward`.

    Args:
        config: its settings.
        in_dim: width W of the encoder's features.
        out_dim: width D of the decoder.
    """

    def __init__(self, config: ProjectorConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__()
        config.check(in_dim=in_dim, out_dim=out_dim)
        self.config, self.in_dim, self.out_dim = config, in_dim, out_dim

    def grid_out(self, grid: Grid) -> Grid:
        """Rows and columns after the projector."""
        return self.config.grid_out(grid)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        """Projected features.

        Args:
            x_NYXW: float[N, Y, X, W].

        Returns:
            x_NYXD: float[N, Y', X', D] with the grid that `grid_out` says.

        Raises:
            ShapeError: if the features have another width.
        """
        raise NotImplementedError

    def require_width(self, x_NYXW: Tensor) -> None:
        """Raise `ShapeError` unless the features are float[N, Y, X, in_dim]."""
        if x_NYXW.ndim != 4 or x_NYXW.shape[-1] != self.in_dim:
            raise ShapeError(
                f"features of shape {list(x_NYXW.shape)}",
                rule=f"this projector takes float[N, Y, X, {self.in_dim}]",
                remedy="pass the encoder's grid, not a flat sequence, and build the projector for its width",
            )

    def require_grid(self, x_NYXW: Tensor) -> Grid:
        """Rows and columns of features float[N, Y, X, in_dim] that this projector takes.

        Raises:
            ShapeError: if it does not take them.
        """
        self.require_width(x_NYXW)
        grid = Grid(*x_NYXW.shape[1:3])
        try:
            self.config.check_grid(grid)
        except ConfigError as error:
            raise ShapeError(error.problem, rule=error.rule, remedy=error.remedy) from None
        return grid


projectors: Registry[ProjectorConfig, Projector] = Registry(
    "projectors",
    ProjectorConfig,
    homes={
        "identity": "vlkit.projectors.linear",
        "linear": "vlkit.projectors.linear",
        "mlp_gelu": "vlkit.projectors.mlp",
        "downsample_mlp_gelu": "vlkit.projectors.downsample",
        "pixel_shuffle": "vlkit.projectors.pixel_shuffle",
        "average_pool": "vlkit.projectors.average_pool",
        "resampler": "vlkit.projectors.resampler",
        "conv_abstractor": "vlkit.projectors.conv_abstractor",
        "low_high_hybrid_split_mlp_gelu": "vlkit.projectors.hybrid_split",
        "hybrid_split_feature_mlp_gelu": "vlkit.projectors.hybrid_split",
        "low_high_split_mlp_gelu": "vlkit.projectors.low_high_split",
        "conv_fusion": "vlkit.projectors.conv_fusion",
        "supplied": "vlkit.projectors.supplied",
    },
)
AnyProjector = Annotated[SerializeAsAny[ProjectorConfig], projectors]
"""Field type that takes any registered projector."""
