"""Projectors put to the test: between which widths, and what they are run on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vlkit.errors import ConfigError, InputError
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, ProjectorConfig, projectors
from vlkit.testing.building_laws import BUILDING_LAWS
from vlkit.testing.comparing import normal
from vlkit.testing.config_laws import CONFIG_LAWS
from vlkit.testing.cost_laws import flops
from vlkit.testing.forward_laws import FORWARD_LAWS
from vlkit.testing.module_subject import ModuleSubject
from vlkit.testing.projector_laws import PROJECTOR_LAWS
from vlkit.testing.shapes import GRIDS
from vlkit.testing.start_laws import START_LAWS
from vlkit.testing.subject import Options
from vlkit.testing.tool_laws import TOOL_LAWS

WIDTHS = ((8, 12), (8, 8), (16, 16), (64, 64), (64, 96), (1024, 1024), (2048, 4096))
"""Widths of encoder and decoder; the first that the config allows are taken."""


class ProjectorSubject(ModuleSubject):
    """A projector.

    Args:
        target: a tag, a config class, a config, or a projector.
        options: as in `Options`.
        in_dim: width W of the encoder's features; None: the projector's, or a small one that the config allows.
        out_dim: width D of the decoder, likewise.
        grids: grids to run it on; None: small ones that `check_grid` allows.

    Raises:
        InputError: if the config allows none of the usual widths or grids, so that they must be given.
    """

    kind, x_name = "projector", "features"
    registry, contract = projectors, Projector
    laws = (*CONFIG_LAWS, *START_LAWS, *PROJECTOR_LAWS, flops, *BUILDING_LAWS, *FORWARD_LAWS, *TOOL_LAWS)
    config: ProjectorConfig

    def __init__(
        self,
        target: Any,
        options: Options,
        *,
        in_dim: int | None = None,
        out_dim: int | None = None,
        grids: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        super().__init__(target, options)
        self.in_dim, self.out_dim = self._widths(in_dim, out_dim)
        self.grids = [grid for grid in map(Grid._make, grids or GRIDS) if self.takes(grid)]
        if not self.grids:
            raise InputError(
                f"{self.name} takes none of the grids {', '.join(map(str, map(Grid._make, grids or GRIDS)))}",
                rule="it is tested on grids that check_grid allows, and that leave at least one token",
                remedy="pass grids=[(rows, columns), ...]",
            )

    @property
    def context(self) -> Mapping[str, Any]:
        return {"in_dim": self.in_dim, "out_dim": self.out_dim}

    @property
    def main_grid(self) -> Grid:
        """Grid that most laws are tested on: of some features, and no square if there is such a one."""
        return max(self.grids, key=lambda grid: (grid.area <= 64, grid.rows != grid.cols, grid.area))

    def takes(self, grid: Grid) -> bool:
        """Whether the config allows a grid."""
        try:
            self.config.check_grid(grid)
        except ConfigError:
            return False
        return min(self.config.grid_out(grid)) >= 1

    def x(self, samples: int = 2, seed: int = 0, dtype: torch.dtype | None = None, grid: Grid | None = None) -> Tensor:
        return normal(seed, samples, *(grid or self.main_grid), self.in_dim, dtype=dtype or self.dtype)

    def declared_flops(self) -> int:
        return self.config.forward_flops(self.main_grid, in_dim=self.in_dim, out_dim=self.out_dim)

    def _widths(self, in_dim: int | None, out_dim: int | None) -> tuple[int, int]:
        if self.given is not None:
            return self.given.in_dim, self.given.out_dim
        for width, dim in WIDTHS:
            width, dim = in_dim or width, out_dim or dim
            try:
                self.config.check(in_dim=width, out_dim=dim)
            except ConfigError as error:
                problem = error.problem
            else:
                return width, dim
        raise InputError(
            f"{self.name} allows none of the widths {', '.join(f'{a} to {b}' for a, b in WIDTHS)}: {problem}",
            rule="it is tested between widths that its check() allows",
            remedy="pass in_dim and out_dim",
        )
