"""Where the blocks go: one after the other in lines, with the largest cells that leave room for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vlkit.drawing.blocks import Block
from vlkit.drawing.canvas import text_width
from vlkit.notation import Grid, Size

SEAM = 4
"""Units between tiles, and between features and separators."""
LABEL_HEIGHT, LABEL_SIZE = 38, 13
GAP = 26
"""Units between blocks."""


@dataclass(frozen=True)
class PlacedBlock:
    """A block with the place of its upper left cell.

    Args:
        block: the tokens.
        title: what it shows.
        positions: numbers of its tokens, as text.
        x: units from the left edge of the area.
        y: units from its upper edge.
    """

    block: Block
    title: str
    positions: str
    x: int
    y: int


@dataclass(frozen=True)
class Flow:
    """All blocks, placed.

    Args:
        blocks: in the order of the sequence.
        cell: side of a cell, with the gap to the next one.
        size: width and height of the area.
    """

    blocks: list[PlacedBlock]
    cell: int
    size: Size

    @property
    def drawn_cell(self) -> int:
        """Side of a cell without the gap."""
        return self.cell - (2 if self.cell >= 20 else 1 if self.cell >= 5 else 0)


def arrange(blocks: Sequence[Block], *, tiles: Grid, grid: Grid, width: int, height: int) -> Flow:
    """Flow of the blocks through an area, with cells as large as its width and height permit.

    Blocks higher than a tile are broken between tiles where this makes the cells clearly larger; the global view stays
    whole. If even the smallest cells do not fit, the area grows.

    Args:
        blocks: the whole sequence.
        tiles: tile rows and columns.
        grid: feature rows and columns of a tile.
        width: units from left to right.
        height: units from top to bottom.
    """
    largest = max(24, min(44, 300 // max(grid)))
    best: Flow | None = None
    for tile_rows in range(tiles.rows, 0, -1):
        most = tile_rows * grid.rows
        parts = [part for block in blocks for part in ([block] if block.views == [0] else block.split(most))]
        flow = _largest(parts, tiles, largest, width, height)
        if best is None or flow.cell > 1.2 * best.cell or best.size.width > width:
            best = flow
    assert best is not None
    return best


def _largest(parts: Sequence[Block], tiles: Grid, largest: int, width: int, height: int) -> Flow:
    for cell in range(largest, 1, -1):
        flow = _flow(parts, tiles, cell, width)
        if flow.size.width <= width and flow.size.height <= height:
            break
    return flow


def _flow(parts: Sequence[Block], tiles: Grid, cell: int, width: int) -> Flow:
    placed: list[PlacedBlock] = []
    x = y = line_height = area_width = 0
    for block in parts:
        title, positions = _title(block, tiles), _positions(block)
        cells = block_size(block, cell)
        needed = max(cells.width, round(text_width(title, LABEL_SIZE)), round(text_width(positions, LABEL_SIZE)))
        if x and x + needed > width:
            x, y, line_height = 0, y + line_height + GAP, 0
        placed.append(PlacedBlock(block, title, positions, x, y + LABEL_HEIGHT))
        area_width = max(area_width, x + needed)
        x += needed + GAP
        line_height = max(line_height, LABEL_HEIGHT + cells.height)
    return Flow(placed, cell, Size(area_width, y + line_height))


def block_size(block: Block, cell: int) -> Size:
    """Width and height of a block in units."""
    down, across = block.seams
    return Size(block.columns * cell + across * SEAM, len(block.rows) * cell + down * SEAM)


def _title(block: Block, tiles: Grid) -> str:
    """Name of what a block shows."""
    views = block.views
    if not views:
        return ""
    if views == [0]:
        return "global view"
    if views[0] == 0:
        return "global view and tiles"
    first, last = (divmod(view - 1, tiles.cols) for view in (views[0], views[-1]))
    if first == last:
        return f"tile {first[0] + 1},{first[1] + 1}"
    return f"tiles {first[0] + 1},{first[1] + 1} to {last[0] + 1},{last[1] + 1}"


def _positions(block: Block) -> str:
    """Numbers of a block's tokens."""
    first, last = block.cells[0].position, block.cells[-1].position
    return f"tokens {first}..{last}" if block.views else f"{first}"
