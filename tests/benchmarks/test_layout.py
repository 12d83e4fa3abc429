"""The loops that the layout is compared with arrange the same tokens."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.frame import Options
from benchmarks.layout import LOOPS, MOST_TILES, make, tile_grids
from vlkit.notation import Grid

OPTIONS = Options(torch.device("cpu"))
grids = st.lists(st.builds(Grid, st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=4)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
@given(grids, st.integers(1, 3))
def test_loops_are_the_gather(loop: object, grids: list[Grid], side: int) -> None:
    layout, x_NYXD = make(grids, side, 2, OPTIONS)
    assert torch.equal(loop(layout, x_NYXD, grids), layout(x_NYXD, grids))  # type: ignore[operator]


def test_pictures_have_every_shape_of_few_tiles() -> None:
    found = tile_grids(64)
    assert {grid.area for grid in found} == set(range(1, MOST_TILES + 1))
    assert len(found) == 64 and max(grid.area for grid in found) == MOST_TILES
