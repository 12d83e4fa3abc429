"""The right side of the picture: every token in the order of the sequence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from PIL import Image

from vlkit.drawing.blocks import Cell
from vlkit.drawing.canvas import GLOBAL_VIEW, INK, MUTED, PAPER, TILE, Canvas
from vlkit.drawing.flow import LABEL_HEIGHT, LABEL_SIZE, SEAM, Flow, PlacedBlock
from vlkit.notation import Grid
from vlkit.tiling import Box


class TokenPath:
    """Blocks of cells: features show their pixels, separators their colours.

    Args:
        flow: where the blocks go.
        mosaics: each view as cells, from `token_mosaics` in the size in which they are drawn.
        tiles: tile rows and columns.
        colors: colour of each kind of separator.
    """

    def __init__(self, flow: Flow, mosaics: Sequence[Image.Image], tiles: Grid, colors: dict[str, str]) -> None:
        self.flow, self.mosaics, self.tiles, self.colors = flow, mosaics, tiles, colors
        sources = {cell.source for placed in flow.blocks for cell in placed.block.cells if cell.source.separator}
        vectors = Counter(source.separator for source in sources)
        self._numbered = {name for name, count in vectors.items() if count > 1}

    def draw(self, canvas: Canvas, x: int, y: int) -> None:
        """Draw all blocks with the upper left corner of the area at `x, y`."""
        for placed in self.flow.blocks:
            self._labels(canvas, placed, x + placed.x, y + placed.y - LABEL_HEIGHT)
            regions: dict[int, Box] = {}
            for number, row in enumerate(placed.block.rows):
                upper = y + placed.y + number * self.flow.cell + row.seams * SEAM
                for cell in row.cells:
                    left = x + placed.x + cell.column * self.flow.cell + cell.seams * SEAM
                    self._cell(canvas, cell, left, upper)
                    if cell.source.view is not None and row.start:
                        regions[cell.source.view] = _hull(regions.get(cell.source.view), left, upper, self.flow.cell)
            for view, region in regions.items():
                self._outline(canvas, view, region)

    def _labels(self, canvas: Canvas, placed: PlacedBlock, x: int, y: int) -> None:
        canvas.text(x, y, placed.title, size=LABEL_SIZE, color=INK)
        canvas.text(x, y + 17, placed.positions, size=LABEL_SIZE, color=MUTED)

    def _cell(self, canvas: Canvas, cell: Cell, left: int, upper: int) -> None:
        side = self.flow.drawn_cell
        if cell.source.view is None:
            assert cell.source.separator is not None
            box = Box(left, upper, left + side, upper + side)
            canvas.rectangle(box, fill=self.colors[cell.source.separator], radius=min(3, side // 4))
            if side >= 11 and cell.source.separator in self._numbered:
                number = str(cell.source.row)
                canvas.text(left + side / 2, upper + side / 2, number, size=side * 2 // 3, color=PAPER, anchor="mm")
            return
        pixels = side * canvas.scale
        corner = (cell.source.col * pixels, cell.source.row * pixels)
        thumbnail = self.mosaics[cell.source.view].crop((*corner, corner[0] + pixels, corner[1] + pixels))
        canvas.picture(thumbnail, left, upper)

    def _outline(self, canvas: Canvas, view: int, region: Box) -> None:
        left, upper, right, lower = region
        gap = self.flow.cell - self.flow.drawn_cell
        box = Box(left - 2, upper - 2, right - gap + 2, lower - gap + 2)
        canvas.rectangle(box, outline=TILE if view else GLOBAL_VIEW, width=1)
        if view and self.tiles.area > 1 and min(right - left, lower - upper) >= 70:
            row, col = divmod(view - 1, self.tiles.cols)
            canvas.label(left + 2, upper + 2, f"{row + 1},{col + 1}", color=TILE, size=11)


def _hull(region: Box | None, left: int, upper: int, cell: int) -> Box:
    if region is None:
        return Box(left, upper, left + cell, upper + cell)
    return Box(
        min(region.left, left),
        min(region.upper, upper),
        max(region.right, left + cell),
        max(region.lower, upper + cell),
    )
