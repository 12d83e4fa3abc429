"""The token sequence of one image as blocks of rows: what to draw where, in whole cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from vlkit.layouts import LayoutConfig, TokenSource, trace
from vlkit.notation import Grid

MOST_BLOCKS_PER_VIEW = 4
"""A sequence that falls into more blocks has no order that could be shown."""


class Place(NamedTuple):
    """Where a feature lies: in the global view or the stitched tiles, and its row and column there."""

    in_global_view: bool
    row: int
    col: int


@dataclass(frozen=True)
class Cell:
    """One token.

    Args:
        position: its number in the sequence.
        source: what it stands for.
        column: its column in the block.
        seams: edges between tiles, or between features and separators, on its left.
    """

    position: int
    source: TokenSource
    column: int
    seams: int


@dataclass(frozen=True)
class Row:
    """Tokens side by side.

    Args:
        cells: the tokens, in the order of the sequence.
        start: place of its first feature; None if it has none, or if places have no meaning here.
        lead: columns in front of the features of its block.
        seams: edges between tiles above it in its block.
    """

    cells: tuple[Cell, ...]
    start: Place | None
    lead: int
    seams: int


@dataclass(frozen=True)
class Block:
    """Rows that lie below one another in the picture as well."""

    rows: tuple[Row, ...]

    @cached_property
    def cells(self) -> list[Cell]:
        """All tokens in the order of the sequence."""
        return [cell for row in self.rows for cell in row.cells]

    @cached_property
    def views(self) -> list[int]:
        """Views that it shows, in ascending order."""
        return sorted({cell.source.view for cell in self.cells if cell.source.view is not None})

    @cached_property
    def columns(self) -> int:
        """Cells side by side."""
        return 1 + max(cell.column for cell in self.cells)

    @cached_property
    def seams(self) -> Grid:
        """Seams one below the other, and side by side."""
        return Grid(max(row.seams for row in self.rows), max(cell.seams for cell in self.cells))

    def split(self, rows: int) -> list[Block]:
        """Parts of at most `rows` rows."""
        parts = [self.rows[start : start + rows] for start in range(0, len(self.rows), rows)]
        return [Block(tuple(replace(row, seams=row.seams - part[0].seams) for row in part)) for part in parts]


class _Token(NamedTuple):
    position: int
    source: TokenSource
    role: str
    place: Place | None


def arrange_blocks(layout: LayoutConfig, tiles: Grid, grid: Grid, overview: Grid | None = None) -> list[Block]:
    """Blocks of the sequence; read one after the other, row by row, they hold every token once and in order.

    It works for any layout: features that are neighbours both in the picture and in the sequence stay neighbours. A
    vector that occurs again and again ends the row before it, one of several vectors leads the row after it, and any
    other separator stands alone. A sequence without such an order is one block that is wrapped like text.
    """
    tokens = _tokens(layout, tiles, grid, overview)
    blocks: list[list[Row]] = []
    for row in _rows(tokens):
        lead, start = sum(token.role == "lead" for token in row), _start(row)
        above = blocks[-1][-1].start if blocks else None
        if _is_below(start, above) and (not lead or _is_in_same_tiles(start, above, grid)):
            first = blocks[-1][0]
            blocks[-1].append(_row(row, start, grid, lead=first.lead, seams=_seams_between(first.start, start, grid)))
        else:
            blocks.append([_row(row, start, grid, lead=lead, seams=0)])
    if len(blocks) > MOST_BLOCKS_PER_VIEW * (1 + tiles.area):
        return [_wrapped(tokens, tiles.cols * grid.cols)]
    return [Block(tuple(rows)) for rows in blocks]


def _tokens(layout: LayoutConfig, tiles: Grid, grid: Grid, overview: Grid | None) -> list[_Token]:
    sources, vectors = trace(layout, tiles, grid, overview), layout.separators()
    occurrences = Counter(source for source in sources if source.separator)

    def role(source: TokenSource) -> str:
        if source.separator is None:
            return "feature"
        if occurrences[source] > 1:
            return "end"
        return "alone" if vectors[source.separator] == 1 else "lead"

    def place(source: TokenSource) -> Place | None:
        if source.view is None:
            return None
        tile_row, tile_col = divmod(max(source.view - 1, 0), tiles.cols)
        return Place(source.view == 0, tile_row * grid.rows + source.row, tile_col * grid.cols + source.col)

    return [_Token(position, source, role(source), place(source)) for position, source in enumerate(sources)]


def _rows(tokens: list[_Token]) -> Iterable[list[_Token]]:
    row = tokens[:1]
    for before, token in pairwise(tokens):
        if _begins_row(before, token):
            yield row
            row = []
        row.append(token)
    yield row


def _begins_row(before: _Token, token: _Token) -> bool:
    if token.role in ("lead", "alone") or before.role == "alone":
        return True
    if token.role == "end" or before.role == "lead":
        return False
    return before.place is None or token.place != before.place._replace(col=before.place.col + 1)


def _start(tokens: list[_Token]) -> Place | None:
    return next((token.place for token in tokens if token.place), None)


def _row(tokens: list[_Token], start: Place | None, grid: Grid, *, lead: int, seams: int) -> Row:
    cells: list[Cell] = []
    for token in tokens:
        if token.place and start:
            edges = 0 if start.in_global_view else token.place.col // grid.cols - start.col // grid.cols
            cells.append(Cell(token.position, token.source, lead + token.place.col - start.col, lead + edges))
        elif cells:
            edge = int(cells[-1].source.separator is None)
            cells.append(Cell(token.position, token.source, cells[-1].column + 1, cells[-1].seams + edge))
        else:
            cells.append(Cell(token.position, token.source, 0, 0))
    return Row(tuple(cells), start, lead, seams)


def _is_below(start: Place | None, above: Place | None) -> bool:
    return start is not None and above is not None and start == above._replace(row=above.row + 1)


def _is_in_same_tiles(start: Place | None, above: Place | None, grid: Grid) -> bool:
    return (
        start is not None
        and above is not None
        and (start.in_global_view or start.row // grid.rows == above.row // grid.rows)
    )


def _seams_between(first: Place | None, start: Place | None, grid: Grid) -> int:
    assert first and start
    return 0 if start.in_global_view else start.row // grid.rows - first.row // grid.rows


def _wrapped(tokens: list[_Token], columns: int) -> Block:
    rows = [tokens[begin : begin + columns] for begin in range(0, len(tokens), columns)]
    cells = [[Cell(token.position, token.source, column, 0) for column, token in enumerate(row)] for row in rows]
    return Block(tuple(Row(tuple(row), None, 0, 0) for row in cells))
