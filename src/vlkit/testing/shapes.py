"""Grids that laws are tested on, and what is probably wrong where a shape is not the declared one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vlkit.errors import ShapeError
from vlkit.notation import Grid
from vlkit.testing.law import Broken, told

if TYPE_CHECKING:
    from vlkit.testing.module_subject import ModuleSubject

GRIDS = tuple(
    Grid(rows, cols)
    for rows, cols in [
        (1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (3, 3), (1, 5), (4, 4), (4, 6), (5, 3), (6, 6), (7, 4), (8, 8),
        (9, 12), (16, 16), (24, 24),
    ]
)  # fmt: skip
"""From small to large, so that the first failure is a small one; even, odd, square and not."""


def require_grid(found: Tensor, expected: Grid, *, samples: int, width: int, given: str) -> None:
    """Raise `Broken` unless a result is float[N, Y, X, width] with the declared grid.

    Args:
        found: what forward gave.
        expected: what `grid_out` says.
        samples: number N of samples.
        width: declared width.
        given: what forward was given, for the message.
    """
    shape = list(found.shape)
    if found.ndim != 4:
        raise Broken(
            f"for {given} forward gave a tensor of shape {shape}, not [N, Y, X, width]",
            likely="forward gives a flat sequence of features"
            if found.ndim == 3
            else "forward adds or drops a dimension",
            remedy="give the grid back its rows and columns; the grid travels with the features",
        )
    real = Grid(*shape[1:3])
    if real != expected:
        raise Broken(
            f"for {given} forward gave a grid of {real}, grid_out says {expected}",
            likely=_why(real, expected),
            remedy="let grid_out and forward round the same way",
        )
    if shape[0] != samples:
        raise Broken(f"for {samples} samples ({given}) forward gave {shape[0]}", likely="forward mixes up its axes")
    if shape[3] != width:
        raise Broken(
            f"for {given} forward gave features of width {shape[3]}, declared is {width}",
            likely="the last layer has another width than the config says",
            remedy="derive the layer's width from the one that is declared",
        )


def _why(real: Grid, expected: Grid) -> str:
    """The mistake that most often gives `real` where `expected` is declared."""
    if real == Grid(expected.cols, expected.rows):
        return "rows and columns are swapped, or guessed from the number of features"
    if real.area == expected.area:
        return "the grid is guessed from the number of features, as if it were a square"
    less = [name for name, a, b in zip(("row", "column"), real, expected) if a < b]
    more = [name for name, a, b in zip(("row", "column"), real, expected) if a > b]
    if less and not more and all(b - a == 1 for a, b in zip(real, expected) if a < b):
        return f"forward drops the last feature {' and '.join(less)}: grid_out rounds up, forward rounds down"
    if more and not less and all(a - b == 1 for a, b in zip(real, expected) if a > b):
        return f"forward keeps the last feature {' and '.join(more)}: grid_out rounds down, forward rounds up"
    return "grid_out does not divide by what forward merges"


def require_refusal(subject: ModuleSubject, part: nn.Module, x: Tensor, call: str) -> None:
    """Raise `Broken` unless the part refuses an input with a ShapeError."""
    try:
        with torch.no_grad():
            found = part(x)
    except ShapeError:
        return
    except Exception as error:
        raise Broken(
            f"{subject.x_name} of shape {list(x.shape)} end in a {type(error).__name__}: {told(error)}",
            likely="forward does not look at the shape of its input",
            remedy=f"begin forward with {call}",
        ) from error
    raise Broken(
        f"{subject.x_name} of shape {list(x.shape)} are taken, and give {list(found.shape)}",
        likely="forward does not look at the shape of its input",
        remedy=f"begin forward with {call}",
    )
