"""Every law of projectors catches the mistake it is for, in a part that is right without it."""

from collections.abc import Callable
from math import isqrt
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from tests.testing.catching import caught, holds, outcome
from tests.testing.toy_projector import Merge, MergeConfig, built
from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.projectors import projectors
from vlkit.testing import check_projector


def test_the_part_itself_keeps_every_law() -> None:
    with projectors.scratch():
        projectors.register(MergeConfig)(Merge)
        report = check_projector(MergeConfig, exports=True, compiles=True)
    assert {found.status for found in report.outcomes} == {"passed"}


class DropsARow(Merge):
    def blocks(self, x_NYXW: Tensor) -> Tensor:
        rows, cols = (side - side % 2 for side in x_NYXW.shape[1:3])
        return super().blocks(x_NYXW[:, : max(rows, 2), : max(cols, 2)])


class Swaps(Merge):
    def blocks(self, x_NYXW: Tensor) -> Tensor:
        return super().blocks(x_NYXW).transpose(1, 2)


class TakesASquare(Merge):
    def blocks(self, x_NYXW: Tensor) -> Tensor:
        blocks = super().blocks(x_NYXW)
        area = blocks.shape[1] * blocks.shape[2]
        side = max(n for n in range(1, isqrt(area) + 1) if area % n == 0)
        return blocks.flatten(1, 2).unflatten(1, (side, -1))


class Flattens(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        return super().mix(x_NYXW).flatten(1, 2)


class KeepsTheGrid(Merge):
    def blocks(self, x_NYXW: Tensor) -> Tensor:
        return x_NYXW.repeat(1, 1, 1, 4)


class TooWide(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        return torch.cat([super().mix(x_NYXW), x_NYXW[..., :1]], dim=-1)


class IgnoresAColumn(Merge):
    def blocks(self, x_NYXW: Tensor) -> Tensor:
        keep = torch.ones(x_NYXW.shape[2], dtype=x_NYXW.dtype)
        keep[-1] = 0 if len(keep) > 1 else 1
        return super().blocks(x_NYXW * keep[:, None])


class DetachesTheInput(Merge):
    def blocks(self, x_NYXW: Tensor) -> Tensor:
        return super().blocks(x_NYXW.detach())


class LooksAtNothing(Merge):
    def require_width(self, x_NYXW: Tensor) -> None:
        pass


class TakesFlatOnes(Merge):
    def forward(self, x_NYXW: Tensor) -> Tensor:
        return super().forward(x_NYXW if x_NYXW.ndim == 4 else x_NYXW[:, None])


class MixesAxes(Merge):
    def mix(self, x_NYXW: Tensor) -> Tensor:
        out = super().mix(x_NYXW)
        return torch.cat([out, out])


class NeverReaches(Merge):
    def forward(self, x_NYXW: Tensor) -> Tensor:
        with torch.no_grad():
            return super().forward(x_NYXW)


WRONG: list[tuple[type[Merge], str, tuple[str, ...]]] = [
    (DropsARow, "grid", ("gave a grid of 1x1, grid_out says 1x2", "forward rounds down")),
    (Swaps, "grid", ("rows and columns are swapped",)),
    (TakesASquare, "grid", ("guessed from the number of features",)),
    (Flattens, "grid", ("not [N, Y, X, width]", "flat sequence")),
    (KeepsTheGrid, "grid", ("grid_out says 1x1",)),
    (MixesAxes, "grid", ("for 1 samples (features of 1x1) forward gave 2",)),
    (TooWide, "grid", ("features of width 7, declared is 6",)),
    (IgnoresAColumn, "features", ("features matter for no token", "column", "stride")),
    (DetachesTheInput, "features", ("no gradient reaches features", "detaches its input")),
    (NeverReaches, "features", ("carries no gradient", "leave torch.no_grad to the caller")),
    (LooksAtNothing, "wrong_shape", ("end in a", "self.require_width(x_NYXW)")),
    (TakesFlatOnes, "wrong_shape", ("are taken, and give",)),
]  # fmt: skip


@pytest.mark.parametrize(("part", "law", "words"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_a_mistake_breaks_its_law(part: type[Merge], law: str, words: tuple[str, ...]) -> None:
    caught(built(part), law, *words)
    holds(built(Merge), law)


class RoundsDownConfig(MergeConfig):
    """Says that a remainder is dropped."""

    def grid_out(self, grid: Grid) -> Grid:
        return Grid(max(grid.rows // 2, 1), max(grid.cols // 2, 1))


class HalvesTwiceConfig(MergeConfig):
    """Says that blocks are larger than they are."""

    def grid_out(self, grid: Grid) -> Grid:
        return Grid(-(-grid.rows // 8), -(-grid.cols // 8))


class CountsOnceConfig(MergeConfig):
    """Counts a multiply-add as one."""

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        return super().forward_flops(grid, in_dim=in_dim, out_dim=out_dim) // 2


class CountsNothingConfig(MergeConfig):
    """Leaves it open."""

    def forward_flops(self, grid: Grid, *, in_dim: int, out_dim: int) -> int:
        return 0


class ChecksGridsConfig(MergeConfig):
    """Takes even grids only, its projector any."""

    type: Literal["checks_grids"] = "checks_grids"  # type: ignore[assignment]

    def check_grid(self, grid: Grid) -> None:
        if grid.rows % 2 or grid.cols % 2:
            raise ConfigError(f"a grid of {grid}", rule="even")


def test_a_grid_that_is_a_bare_tuple_breaks_the_law_of_grids() -> None:
    class BareTupleConfig(MergeConfig):
        def grid_out(self, grid: Grid) -> Grid:
            return tuple(super().grid_out(grid))  # type: ignore[return-value]

    caught(Merge(BareTupleConfig(), in_dim=4, out_dim=6), "grid", "grid_out gives (1, 1)", "vlkit.notation.Grid")


def test_the_likely_mistake_follows_from_the_two_grids() -> None:
    part = Merge(RoundsDownConfig(), in_dim=4, out_dim=6)
    caught(part, "grid", "keeps the last feature row and column: grid_out rounds down", grids=[(3, 3)])
    part = Merge(HalvesTwiceConfig(), in_dim=4, out_dim=6)
    caught(part, "grid", "grid_out does not divide by what forward merges", grids=[(8, 8)])
    caught(built(TakesASquare), "grid", "as if it were a square", grids=[(2, 8)])


def test_operations_that_are_declared_are_the_counted_ones() -> None:
    holds(built(Merge), "flops")
    counts_once = Merge(CountsOnceConfig(), in_dim=4, out_dim=6)
    caught(counts_once, "flops", "forward_flops says 1,536 for", "torch counts 3,072", "once instead of twice")
    assert outcome(Merge(CountsNothingConfig(), in_dim=4, out_dim=6), "flops").status == "skipped"


def test_grids_that_the_config_refuses_are_refused_by_forward_too() -> None:
    caught(Merge(ChecksGridsConfig(), in_dim=4, out_dim=6), "wrong_shape", "[1, 1, 1, 4] are taken")


@pytest.mark.parametrize("make", [lambda: "merge", lambda: MergeConfig, MergeConfig, lambda: built(Merge)])
def test_a_part_is_given_as_tag_class_config_or_module(make: Callable[[], Any]) -> None:
    with projectors.scratch():
        projectors.register(MergeConfig)(Merge)
        assert check_projector(make(), compiles=False, exports=False).ok
