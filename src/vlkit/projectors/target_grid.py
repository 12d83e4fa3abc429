"""What projectors share that average any grid of features to one of a given size."""

from __future__ import annotations

from vlkit.config import Count
from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.projectors.base import ProjectorConfig


class TargetGridConfig(ProjectorConfig):
    """Base of the projectors whose grid is a field."""

    grid: tuple[Count, Count] = (16, 16)
    """Rows and columns of tokens, whatever the encoder's are; at most as many as those."""

    def grid_out(self, grid: Grid) -> Grid:
        return Grid(*self.grid)

    def check_grid(self, grid: Grid) -> None:
        if grid.rows < self.grid[0] or grid.cols < self.grid[1]:
            raise ConfigError(
                f"a grid of {grid} features for the projector {self.type!r} with the grid {Grid(*self.grid)}",
                rule="averaging gives at most as many rows and columns as there are",
                remedy="choose a smaller grid, larger tiles or smaller patches",
            )
