"""Layout assembly of a batch of 64 pictures of many shapes: one plan and one gather beside loops with `cat`.

The peers follow the official rule: end every row of a view with the newline vector, stitch the tiles to one grid, put
the separator between global view and tiles, join it all. One loops over the pictures and arranges each with reshapes,
as the official code does; the other loops over rows and tiles as well. All sides give the same numbers, which is
checked first. With the width of deepseek-vl2-tiny most of the time goes into moving 100 MB, whoever does it; with a
width of 8 it shows what the arrangement itself costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import torch
from einops import rearrange
from torch import Tensor

from benchmarks.frame import Case, Measured, Options, Side, main
from vlkit.layouts import Layout, Layout2DConfig
from vlkit.notation import Grid

PICTURES, SIDE, MOST_TILES = 64, 14, 9
WIDTHS = {"wide": 1280, "narrow": 8}
DTYPE = torch.bfloat16

Loop = Callable[[Layout, Tensor, Sequence[Grid]], Tensor]
"""Image tokens float[L, D] of features float[N, Y, X, D]."""


def tile_grids(pictures: int) -> list[Grid]:
    """Tile rows and columns of the pictures: every grid of at most nine tiles, over and over."""
    kinds = [Grid(r, c) for r in range(1, MOST_TILES + 1) for c in range(1, MOST_TILES // r + 1)]
    order = torch.randperm(len(kinds), generator=torch.Generator().manual_seed(0)).tolist()
    return [kinds[order[number % len(kinds)]] for number in range(pictures)]


def make(grids: Sequence[Grid], side: int, width: int, options: Options) -> tuple[Layout, Tensor]:
    """Layout and random features float[N, Y, X, D] of all views."""
    torch.manual_seed(0)
    layout = Layout(Layout2DConfig(), dim=width).to(options.device, DTYPE)
    views = len(grids) + sum(grid.area for grid in grids)
    return layout, torch.randn(views, side, side, width).to(options.device, DTYPE)


@torch.no_grad()
def gathered(grids: Sequence[Grid], side: int, width: int, options: Options) -> Measured:
    """Our layout."""
    layout, x_NYXD = make(grids, side, width, options)
    return Measured({"assembly": options.steady(lambda: layout(x_NYXD, grids))})


@torch.no_grad()
def looped(loop: Loop, grids: Sequence[Grid], side: int, width: int, options: Options) -> Measured:
    """One of the loops."""
    layout, x_NYXD = make(grids, side, width, options)
    if not torch.equal(loop(layout, x_NYXD, grids), layout(x_NYXD, grids)):
        raise AssertionError("both sides arrange the same tokens")
    return Measured({"assembly": options.steady(lambda: loop(layout, x_NYXD, grids))})


def loop_over_pictures(layout: Layout, x_NYXD: Tensor, grids: Sequence[Grid]) -> Tensor:
    """Picture after picture, each arranged with reshapes; float[L, D]."""
    newline, separator = layout.get_parameter("image_newline"), layout.get_parameter("view_separator")
    pictures, at = [], 0
    for down, across in grids:
        tiles = x_NYXD[at + 1 : at + 1 + down * across]
        stitched = rearrange(tiles, "(r c) y x d -> (r y) (c x) d", r=down)
        views = [
            torch.cat([view, newline[None].expand(len(view), 1, -1)], dim=1).flatten(0, 1)
            for view in (x_NYXD[at], stitched)
        ]
        pictures.append(torch.cat([views[0], separator, views[1]]))
        at += 1 + down * across
    return torch.cat(pictures)


def loop_over_rows(layout: Layout, x_NYXD: Tensor, grids: Sequence[Grid]) -> Tensor:
    """Picture after picture, row after row, tile after tile; float[L, D]."""
    newline, separator = layout.get_parameter("image_newline"), layout.get_parameter("view_separator")
    pictures, at = [], 0
    for down, across in grids:
        overview, tiles = x_NYXD[at], x_NYXD[at + 1 : at + 1 + down * across]
        pieces = [piece for row in overview for piece in (row, newline)]
        pieces.append(separator)
        for tile_row, y in product(range(down), range(x_NYXD.shape[1])):
            pieces += [tiles[tile_row * across + tile_col, y] for tile_col in range(across)]
            pieces.append(newline)
        pictures.append(torch.cat(pieces))
        at += 1 + down * across
    return torch.cat(pictures)


LOOPS: dict[str, Loop] = {"loop over pictures": loop_over_pictures, "loops over rows": loop_over_rows}


def cases(options: Options) -> list[Case]:
    """Both widths."""
    pictures, side = (4, 3) if options.dry else (PICTURES, SIDE)
    grids = tile_grids(pictures)
    return [case(name, width, grids, side) for name, width in WIDTHS.items()]


def case(name: str, width: int, grids: Sequence[Grid], side: int) -> Case:
    """One width."""
    tokens = sum(Layout2DConfig().count(tiles, Grid(side, side)) for tiles in grids)
    sides: dict[str, Side] = {"vlkit": lambda options: gathered(grids, side, width, options)}
    for loop_name, loop in LOOPS.items():
        sides[loop_name] = partial(looped, loop, grids, side, width)
    return Case(
        name,
        f"{len(grids)} pictures of 1 to {MOST_TILES} tiles, {side}x{side} features of width {width} per view",
        sides,
        peers=tuple(LOOPS),
        facts={"pictures": len(grids), "image_tokens": tokens, "bytes": tokens * width * DTYPE.itemsize},
    )


if __name__ == "__main__":
    main("layout", cases, __doc__)
