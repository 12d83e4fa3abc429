"""Strategies for grids, and for how a sequence comes: padded, in chunks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from hypothesis import strategies as st
from torch import Tensor

from vlkit.notation import Grid, Size
from vlkit.tiling import tile_grid


def grids(largest: int, *, smallest: int = 1) -> st.SearchStrategy[Grid]:
    """Rows and columns from `smallest` to `largest`, independent of each other."""
    return st.builds(Grid, st.integers(smallest, largest), st.integers(smallest, largest))


def tile_grids(
    candidate_resolutions: Sequence[tuple[int, int]] | None = None, *, most_tiles: int = 9
) -> st.SearchStrategy[Grid]:
    """Tile rows and columns of a picture: those of a model's candidate resolutions, or any of up to `most_tiles`.

    Args:
        candidate_resolutions: widths and heights, the first is the size of a tile; None: no model.
        most_tiles: most tiles of a picture where there is no model.
    """
    if candidate_resolutions is not None:
        tile = Size(*candidate_resolutions[0])
        return st.sampled_from([tile_grid(Size(*size), tile) for size in candidate_resolutions])
    return st.integers(1, most_tiles).flatmap(
        lambda rows: st.builds(Grid, st.just(rows), st.integers(1, most_tiles // rows))
    )


def left_padded(batch: int, length: int) -> st.SearchStrategy[Tensor]:
    """Masks bool[B, T] with padding on the left and at least one position per row that is none."""
    real = st.lists(st.integers(1, length), min_size=batch, max_size=batch)
    return real.map(lambda rows: torch.tensor([[False] * (length - row) + [True] * row for row in rows]))


def cuts(length: int) -> st.SearchStrategy[list[int]]:
    """Lengths of consecutive chunks that make up `length`."""
    edges = st.sets(st.integers(1, length - 1)) if length > 1 else st.just(set[int]())
    return edges.map(lambda inner: [b - a for a, b in pairwise([0, *sorted(inner), length])])
