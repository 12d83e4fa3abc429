"""Windows hold near features, and cutting is undone by joining."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import grids, normal, seeds
from vlkit.nn.windows import join_windows, split_windows, window_grid
from vlkit.notation import Grid


@given(grids(9), st.integers(1, 5), st.integers(1, 3), seeds)
def test_joining_undoes_splitting(grid: Grid, side: int, tiles: int, seed: int) -> None:
    x_NYXW = normal(seed, tiles, *grid, 2)
    windows = split_windows(x_NYXW, side)
    assert windows.shape == (tiles * window_grid(grid, side).area, side, side, 2)
    assert torch.equal(join_windows(windows, grid), x_NYXW)


@given(grids(9), st.integers(1, 5))
def test_windows_go_row_by_row_and_are_filled_up_with_zeros(grid: Grid, side: int) -> None:
    numbered = torch.arange(1, grid.area + 1).view(1, *grid, 1)
    windows = split_windows(numbered, side)
    for number, window in enumerate(windows):
        row, col = divmod(number, window_grid(grid, side).cols)
        part = numbered[0, row * side : (row + 1) * side, col * side : (col + 1) * side]
        assert torch.equal(window[: part.shape[0], : part.shape[1]], part)
        assert window.count_nonzero() == part.count_nonzero() > 0
