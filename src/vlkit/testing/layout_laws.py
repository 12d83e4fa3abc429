"""Laws of layouts: one plan of integers, from which count, arrangement and the way back follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from vlkit.layouts.tracing import TokenSource, trace
from vlkit.notation import Grid
from vlkit.testing.comparing import require_near
from vlkit.testing.gradient_laws import gradients
from vlkit.testing.law import Broken, law

if TYPE_CHECKING:
    from vlkit.testing.layout import LayoutSubject


@law(weights=False)
def hashable(subject: LayoutSubject) -> None:
    """A config can be a key, since plans are kept by it."""
    try:
        hash(subject.config)
    except TypeError as error:
        raise Broken(
            f"it has no hash: {error}",
            likely="a field holds a list, a dict or a set, which anybody can change",
            remedy="annotate the field as a tuple or a config",
        ) from None


@law(weights=False, crash="arrange takes other arguments than (tiles, grid, overview)")
def plan(subject: LayoutSubject) -> None:
    """The plan is an int64 vector on the CPU, always the same one, whatever the default device."""
    for tiles, grid, overview, case in subject.cases:
        with torch.device("meta"):
            found = subject.config.plan(tiles, grid, overview)
        if found.dtype != torch.int64 or found.ndim != 1 or found.device.type != "cpu":
            raise Broken(
                f"for {case} the plan is of {found.dtype}, of shape {list(found.shape)} and on {found.device}",
                likely="addresses are not flattened, went through a division, or name a device",
                remedy="give int64[L], made on the default device",
            )
        again = type(subject.config).model_validate(subject.config.model_dump()).arrange(tiles, grid, overview)
        if not torch.equal(found, again):
            raise Broken(f"for {case} the plan is another one each time", likely="arrange draws random numbers")
        if subject.config.plan(tiles, grid, overview) is not found:
            raise Broken(
                f"for {case} the plan is made twice",
                likely="plan is overridden, or the config compares unequal to itself",
                remedy="define arrange; plan keeps what it gives",
            )


@law(weights=False)
def places(subject: LayoutSubject) -> None:
    """Every feature of the global view and of the tiles that count stands exactly once; the rest are separators."""
    separators = sum(subject.config.separators().values())
    for tiles, grid, overview, case in subject.cases:
        features = subject.config.features(tiles, grid, overview)
        stands = Counter(subject.config.plan(tiles, grid, overview).tolist())
        wrong = [address for address in stands if not 0 <= address < features + separators]
        if wrong:
            raise Broken(
                f"for {case} the plan has the address {wrong[0]}, for {features} features and {separators} separators",
                likely="separators are counted from another number than features(tiles, grid, overview)",
                remedy="address separators from self.features(tiles, grid, overview) on, in the order of separators()",
            )
        for address in range(features):
            if stands[address] != 1:
                dropped = stands[address] == 0
                raise Broken(
                    f"for {case} the feature {_place(address, grid, overview)} stands "
                    f"{'nowhere' if dropped else f'{stands[address]} times'}",
                    likely="a row, a column or a tile is left out, or not declared by tile_count"
                    if dropped
                    else "two parts of the plan overlap: the tiles begin at overview.area, not at grid.area",
                    remedy="say in tile_count which pictures lose their tiles; all other features have a place",
                )


def _place(address: int, grid: Grid, overview: Grid) -> str:
    if address < overview.area:
        return "({}, {}) of the global view".format(*divmod(address, overview.cols))
    tile, cell = divmod(address - overview.area, grid.area)
    return "({}, {}) of tile {}".format(*divmod(cell, grid.cols), tile)


@law()
def count(subject: LayoutSubject) -> None:
    """The number of tokens is the length of the plan and of the arrangement."""
    part = subject.part()
    for tiles, grid, overview, case in subject.cases:
        length, said = len(subject.config.plan(tiles, grid, overview)), subject.config.count(tiles, grid, overview)
        arranged = len(subject.arranged(part, [tiles], grid, overview))
        if not length == said == arranged:
            raise Broken(
                f"for {case} count says {said}, the plan has {length} and the arrangement {arranged} tokens",
                likely="count or forward is overridden and follows a formula of its own",
                remedy="define arrange alone; count and forward follow from it",
            )


@law()
def batch(subject: LayoutSubject) -> None:
    """A batch of pictures is each picture alone, with global views among the tiles or apart from them."""
    part = subject.part()
    for grid, overview in subject.view_grids:
        together = subject.arranged(part, subject.tiles, grid, overview)
        alone = [subject.arranged(part, [tiles], grid, overview, first=first) for first, tiles in _starts(subject)]
        require_near(
            together,
            torch.cat(alone),
            f"with grids of {grid} and global views of {overview} a batch is not its pictures one after the other",
            likely="forward or batch_plan is overridden and mixes up the pictures' views",
            near=0,
        )


def _starts(subject: LayoutSubject) -> list[tuple[tuple[int, int], Grid]]:
    """Number of pictures and of tiles before each picture."""
    starts, images, tiles_before = [], 0, 0
    for tiles in subject.tiles:
        starts.append(((images, tiles_before), tiles))
        images, tiles_before = images + 1, tiles_before + subject.config.tile_count(tiles)
    return starts


@law(weights=False)
def traced(subject: LayoutSubject) -> None:
    """`trace` leads from every token back to its address in the plan."""
    for tiles, grid, overview, case in subject.cases:
        first, addresses = subject.config.features(tiles, grid, overview), {}
        for name, vectors in subject.config.separators().items():
            addresses[name], first = first, first + vectors
        back = [_address(source, addresses, grid, overview) for source in trace(subject.config, tiles, grid, overview)]
        if back != subject.config.plan(tiles, grid, overview).tolist():
            raise Broken(
                f"for {case} the way back leads to other addresses",
                likely="features or plan is overridden, or separators() changes its order",
            )


def _address(source: TokenSource, separators: Mapping[str, int], grid: Grid, overview: Grid) -> int:
    if source.view is None:
        return separators[str(source.separator)] + source.row
    if source.view == 0:
        return source.row * overview.cols + source.col
    return overview.area + (source.view - 1) * grid.area + source.row * grid.cols + source.col


@law()
def feature_gradients(subject: LayoutSubject) -> None:
    """The gradient of a sum of all tokens is one for every feature."""
    x = subject.x().requires_grad_()
    subject.output(subject.part(), x).sum().backward()
    if x.grad is None or not torch.equal(x.grad, torch.ones_like(x)):
        got = "none" if x.grad is None else f"{x.grad.min().item():g} to {x.grad.max().item():g}"
        raise Broken(
            f"gradients of the features are {got}",
            likely="forward is overridden, and detaches, scales or mixes features",
            remedy="a layout moves features and leaves their numbers alone",
        )


PLAN_LAWS = (hashable, plan, places, traced)
LAYOUT_LAWS = (count, batch, gradients, feature_gradients)
