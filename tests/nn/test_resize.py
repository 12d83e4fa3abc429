"""Resampling of grids against Pillow's, which is another implementation of the same filters."""

import numpy as np
import pytest
import torch
from hypothesis import given
from PIL import Image

from tests.strategies import grids, normal, seeds
from vlkit.nn.resize import resize
from vlkit.notation import Grid

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
PILLOW = 1e-5
"""Both compute in float32, with weights that are rounded at different places."""


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@given(before=grids(9), after=grids(9), seed=seeds)
def test_antialiased_grids_are_pillow_s(mode: str, before: Grid, after: Grid, seed: int) -> None:
    x_NYXW = normal(seed, 2, *before, 3, dtype=torch.float32)
    found = resize(x_NYXW, after, mode=mode, antialias=True)  # type: ignore[arg-type]
    assert found.shape == (2, *after, 3)
    for tile, channel in ((0, 0), (1, 2)):
        picture = Image.fromarray(x_NYXW[tile, ..., channel].numpy())
        expected = torch.from_numpy(np.array(picture.resize((after.cols, after.rows), FILTERS[mode])))
        torch.testing.assert_close(found[tile, ..., channel], expected, rtol=0, atol=PILLOW)


@given(grids(6), seeds)
def test_without_antialias_a_smaller_grid_takes_the_nearest_two_places(after: Grid, seed: int) -> None:
    x_NYXW = normal(seed, 1, 12, 12, 1)
    found = resize(x_NYXW, after, mode="bilinear")
    rows, cols = (interpolation(12, side) for side in after)
    assert torch.allclose(found[0, ..., 0], rows @ x_NYXW[0, ..., 0] @ cols.T)


def interpolation(before: int, after: int) -> torch.Tensor:
    """Weights of the places before for each place after."""
    weights = torch.zeros(after, before, dtype=torch.float64)
    for place in range(after):
        centre = min(max((place + 0.5) * before / after - 0.5, 0), before - 1)
        weights[place, int(centre)] += 1 - centre % 1
        weights[place, min(int(centre) + 1, before - 1)] += centre % 1
    return weights


@given(grids(5), seeds)
def test_the_same_grid_is_the_same_tensor(grid: Grid, seed: int) -> None:
    x_NYXW = normal(seed, 1, *grid, 2)
    assert resize(x_NYXW, grid, mode="bicubic", antialias=True) is x_NYXW


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_resampled_in_float32(dtype: torch.dtype) -> None:
    x_NYXW = normal(0, 1, 7, 7, 4).to(dtype)
    found = resize(x_NYXW, Grid(5, 3), mode="bicubic", antialias=True)
    assert torch.equal(found, resize(x_NYXW.float(), Grid(5, 3), mode="bicubic", antialias=True).to(dtype))
    assert resize(x_NYXW.double(), Grid(5, 3), mode="bilinear").dtype == torch.float64
