"""Every law of layouts catches the mistake it is for, in a part that is right without it."""

import itertools
from collections.abc import Sequence
from typing import Literal

import pytest
import torch
from pydantic import Field
from torch import Tensor

from tests.testing.catching import caught, holds, outcome
from vlkit.errors import ConfigError, InputError
from vlkit.layouts import Layout, LayoutConfig, layouts
from vlkit.layouts.batch_plan import BatchPlan
from vlkit.notation import Grid
from vlkit.testing import check_layout


class MarkedConfig(LayoutConfig):
    """All features in order, a mark between the global view and the tiles, one at the end."""

    type: Literal["marked"] = "marked"
    """Tag of the layout."""

    def separators(self) -> dict[str, int]:
        return {"marks": 2}

    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        features = self.features(tiles, grid, overview)
        first, rest = torch.arange(features).split([overview.area, features - overview.area])
        return torch.cat([first, torch.tensor([features]), rest, torch.tensor([features + 1])])


class OnlyOverviewConfig(MarkedConfig):
    """Says that no tile has a place."""

    def tile_count(self, tiles: Grid) -> int:
        return 0


class Marked(Layout):
    """A layout that keeps all laws, once it is registered."""


def test_the_part_itself_keeps_every_law() -> None:
    with layouts.scratch():
        layouts.register(MarkedConfig)(Marked)
        report = check_layout("marked", exports=True)
    assert {found.law for found in report.outcomes if found.status != "passed"} == {"compile"}


@pytest.mark.parametrize("law", ["places", "count", "batch", "traced", "feature_gradients", "batch_independence"])
def test_tiles_that_are_declared_to_have_no_place_break_no_law(law: str) -> None:
    holds(Marked(OnlyOverviewConfig(), dim=4), law)


class DropsTilesConfig(MarkedConfig):
    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        return torch.arange(overview.area)


class DropsAFeatureConfig(MarkedConfig):
    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        plan = super().arrange(tiles, grid, overview)
        return plan[plan != 3] if overview.area > 3 else plan


class RepeatsConfig(MarkedConfig):
    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        return torch.cat([super().arrange(tiles, grid, overview), torch.tensor([0])])


class CountsFromTheTileConfig(MarkedConfig):
    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        return super().arrange(tiles, grid, grid)


class BeyondConfig(MarkedConfig):
    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        return super().arrange(tiles, grid, overview) + 1


class DividesConfig(MarkedConfig):
    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        return super().arrange(tiles, grid, overview) / 1


class NamesADeviceConfig(MarkedConfig):
    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        return super().arrange(tiles, grid, overview).to("meta")


class ShufflesConfig(MarkedConfig):
    def arrange(self, tiles: Grid, grid: Grid, overview: Grid) -> Tensor:
        return torch.randperm(self.features(tiles, grid, overview))


class MakesItTwiceConfig(MarkedConfig):
    def plan(self, tiles: Grid, grid: Grid, overview: Grid | None = None) -> Tensor:
        with torch.device("cpu"):
            return self.arrange(tiles, grid, overview or grid)


class OldArgumentsConfig(MarkedConfig):
    def arrange(self, tiles: Grid, grid: Grid) -> Tensor:  # type: ignore[override]
        return torch.arange(grid.area)


class HoldsAListConfig(MarkedConfig):
    order: list[int] = Field(default_factory=list)


class CountsByHandConfig(MarkedConfig):
    def count(self, tiles: Grid, grid: Grid, overview: Grid | None = None) -> int:
        return (1 + tiles.area) * grid.area + 2


@pytest.mark.parametrize(
    ("config", "law", "words"),
    [
        (DropsTilesConfig, "places", ("the feature (0, 0) of tile 0 stands nowhere", "tile_count")),
        (DropsAFeatureConfig, "places", ("the feature (1, 1) of the global view stands nowhere",)),
        (RepeatsConfig, "places", ("the feature (0, 0) of the global view stands 2 times", "overlap")),
        (CountsFromTheTileConfig, "places", ("a global view of 3x3", "stands nowhere")),
        (BeyondConfig, "places", ("has the address 4, for 2 features and 2 separators", "self.features")),
        (DividesConfig, "plan", ("is of torch.float32", "int64[L]")),
        (ShufflesConfig, "plan", ("another one each time", "random")),
        (NamesADeviceConfig, "plan", ("on meta",)),
        (MakesItTwiceConfig, "plan", ("the plan is made twice",)),
        (OldArgumentsConfig, "plan", ("TypeError", "(tiles, grid, overview)")),
        (HoldsAListConfig, "hashable", ("it has no hash", "tuple")),
        (CountsByHandConfig, "count", ("count says", "a global view of 3x3", "formula of its own")),
    ],
)  # fmt: skip
def test_a_mistake_in_the_config_breaks_its_law(config: type[MarkedConfig], law: str, words: tuple[str, ...]) -> None:
    caught(Marked(config(), dim=4), law, *words)
    holds(Marked(MarkedConfig(), dim=4), law)


class Reverses(Marked):
    def forward(self, x_NYXD: Tensor, tile_grids: Sequence[Grid], overviews_NYXD: Tensor | None = None) -> Tensor:
        return super().forward(x_NYXD.flip(0), tile_grids, overviews_NYXD)


class Scales(Marked):
    def forward(self, x_NYXD: Tensor, tile_grids: Sequence[Grid], overviews_NYXD: Tensor | None = None) -> Tensor:
        return super().forward(2 * x_NYXD, tile_grids, overviews_NYXD)


class AddsOne(Marked):
    def forward(self, x_NYXD: Tensor, tile_grids: Sequence[Grid], overviews_NYXD: Tensor | None = None) -> Tensor:
        out = super().forward(x_NYXD, tile_grids, overviews_NYXD)
        return torch.cat([out, out[:1]])


class IgnoresItsMarks(Marked):
    def forward(self, x_NYXD: Tensor, tile_grids: Sequence[Grid], overviews_NYXD: Tensor | None = None) -> Tensor:
        with torch.no_grad():
            marks = super().forward(0 * x_NYXD, tile_grids, overviews_NYXD)
        return super().forward(x_NYXD, tile_grids, overviews_NYXD) * (marks == 0) + marks


class SwapsInItsPlan(Marked):
    def batch_plan(self, tile_grids: Sequence[Grid], grid: Grid, overview: Grid | None = None) -> BatchPlan:
        plan = super().batch_plan(tile_grids, grid, overview)
        return plan._replace(feature_L=plan.feature_L.flip(0))


@pytest.mark.parametrize(
    ("part", "law", "words"),
    [
        (Reverses, "batch", ("a batch is not its pictures one after the other",)),
        (SwapsInItsPlan, "batch", ("batch_plan is overridden",)),
        (Scales, "feature_gradients", ("gradients of the features are 2 to 2", "leaves their numbers alone")),
        (AddsOne, "count", ("count says 4, the plan has 4 and the arrangement 5 tokens",)),
        (IgnoresItsMarks, "gradients", ("parameter 'marks' gets only zeros",)),
    ],
)
def test_a_mistake_in_the_module_breaks_its_law(part: type[Marked], law: str, words: tuple[str, ...]) -> None:
    caught(part(MarkedConfig(), dim=4), law, *words)
    holds(Marked(MarkedConfig(), dim=4), law)


def test_a_way_back_that_leads_elsewhere_breaks_its_law() -> None:
    orders = itertools.cycle([("marks", "others"), ("others", "marks")])

    class ChangesItsOrderConfig(MarkedConfig):
        def separators(self) -> dict[str, int]:
            return dict.fromkeys(next(orders), 1)

    caught(ChangesItsOrderConfig(), "traced", "the way back leads to other addresses")


def test_a_layout_that_takes_no_picture_cannot_be_checked() -> None:
    class ChoosyConfig(MarkedConfig):
        def check(self, tile_grids: Sequence[Grid]) -> None:
            raise ConfigError("no")

    with pytest.raises(InputError, match="takes none of the tile grids 1x1"):
        check_layout(Marked(ChoosyConfig(), dim=4))


def test_a_layout_of_few_tiles_is_tested_on_those_only() -> None:
    class OneTileConfig(MarkedConfig):
        def check(self, tile_grids: Sequence[Grid]) -> None:
            if any(tiles.area > 1 for tiles in tile_grids):
                raise ConfigError("one tile")

    for law in ("places", "count", "batch", "gradients"):
        assert outcome(Marked(OneTileConfig(), dim=4), law).status == "passed"
