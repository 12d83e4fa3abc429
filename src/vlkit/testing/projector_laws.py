"""Laws of projectors: a grid of features in, the declared grid of the decoder's width out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vlkit.errors import VlkitError
from vlkit.notation import Grid
from vlkit.testing.gradient_laws import gradients, input_gradient
from vlkit.testing.law import Broken, law
from vlkit.testing.shapes import GRIDS, require_grid, require_refusal

if TYPE_CHECKING:
    from vlkit.testing.projector import ProjectorSubject


@law(weights=False, crash="forward depends on a fixed grid")
def grid(subject: ProjectorSubject) -> None:
    """For every grid, forward gives the declared one, of the decoder's width."""
    part, device = subject.part_for_shapes()
    for number, given in enumerate(subject.grids):
        samples = number % 2 + 1
        expected = subject.config.grid_out(given)
        if not isinstance(expected, Grid) or any(type(side) is not int for side in expected):
            raise Broken(f"grid_out gives {expected!r}", remedy="give a vlkit.notation.Grid of whole numbers")
        with torch.no_grad():
            found = subject.output(part, subject.x(samples, dtype=torch.float32, grid=given).to(device))
        require_grid(found, expected, samples=samples, width=subject.out_dim, given=f"features of {given}")


@law()
def features(subject: ProjectorSubject) -> None:
    """Every feature matters for the tokens, as long as the blocks that are merged divide the grid."""
    whole = [grid for grid in subject.grids if grid.area > 1 and not any(side % subject.config.merge for side in grid)]
    for grid in whole[:4]:
        reached = input_gradient(subject, subject.x(samples=1, grid=grid))[0].any(dim=-1)
        if not bool(reached.all()):
            row, col = (~reached).nonzero()[0].tolist()
            raise Broken(
                f"of a grid of {grid}, {int((~reached).sum())} features matter for no token, the first at row {row}, "
                f"column {col}",
                likely="forward drops a row or a column, or a stride skips features",
                remedy="pad, or say in grid_out and merge what becomes of them",
            )


@law()
def wrong_shape(subject: ProjectorSubject) -> None:
    """Features of another shape or width, or of a grid that the config refuses, are refused with a ShapeError."""
    part, (rows, cols), width = subject.part(torch.float32), subject.main_grid, subject.in_dim
    for shape in ((2, rows * cols, width), (2, rows, cols, width + 1), (rows, cols, width), (2, 2, rows, cols, width)):
        require_refusal(subject, part, torch.zeros(shape), "self.require_width(x_NYXW)")
    for grid in GRIDS:
        try:
            subject.config.check_grid(grid)
        except VlkitError:
            require_refusal(subject, part, torch.zeros(1, *grid, width), "a look at the grid")


PROJECTOR_LAWS = (grid, wrong_shape, gradients, features)
