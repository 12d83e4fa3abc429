"""The left side of the picture: the fitted original with its tiles, and the global view."""

from __future__ import annotations

from itertools import product

from PIL import Image

from vlkit.drawing.canvas import GLOBAL_VIEW, MUTED, PAPER, TILE, Canvas, hatched, text_width
from vlkit.drawing.views import placed
from vlkit.notation import Size
from vlkit.tiling import Box, Tiling

CAPTION, CAPTION_SIZE = 24, 13
"""Units above each frame for its caption."""
GAP = 28
"""Units between the two frames."""


class Frames:
    """Both frames, side by side or one below the other.

    Args:
        tiling: how the picture is cut.
        fitted: width and height of the fitted picture in units.
        overview: width and height of the global view in units.
        cut: whether the tiles are encoded; if not, only the global view is drawn.
        stacked: whether the global view stands below the fitted picture instead of beside it.
    """

    def __init__(
        self, tiling: Tiling, *, fitted: Size, overview: Size, cut: bool = True, stacked: bool = False
    ) -> None:
        self.tiling, self.fitted, self.overview, self.cut, self.stacked = tiling, fitted, overview, cut, stacked

    @classmethod
    def of(cls, tiling: Tiling, *, width: int, height: int, cut: bool) -> Frames:
        """The frames of a picture that is cut, or the global view of one that is not, in a column of the area."""
        if cut:
            return cls.in_column(tiling, width=width, height=height)
        whole = tiling.overview
        overview = _times(whole, min(width / whole.width, (height - CAPTION) / whole.height))
        return cls(tiling, fitted=Size(0, 0), overview=overview, cut=False)

    @classmethod
    def in_row(cls, tiling: Tiling, *, width: int, height: int) -> Frames:
        """Side by side and of one height, in an area of this width and height."""
        whole, tile = tiling.resolution, tiling.overview
        side = min(height - CAPTION, (width - GAP) / (whole.width / whole.height + tile.width / tile.height))
        return cls(tiling, fitted=_times(whole, side / whole.height), overview=_times(tile, side / tile.height))

    @classmethod
    def in_column(cls, tiling: Tiling, *, width: int, height: int) -> Frames:
        """One below the other in an area of this width and height, or side by side where they are very high."""
        whole, tile = tiling.resolution, tiling.overview
        if whole.height > 4 * whole.width:
            fitted = _times(whole, (height - CAPTION) / whole.height)
            return cls(tiling, fitted=fitted, overview=_times(tile, (width - GAP - fitted.width) / tile.width))
        fitted = _times(whole, min(width / whole.width, height * 0.68 / whole.height))
        overview = _times(tile, min(fitted.width, width * 0.7) / tile.width)
        return cls(tiling, fitted=fitted, overview=overview, stacked=True)

    @property
    def size(self) -> Size:
        """Width and height of the area that the frames take."""
        if not self.cut:
            return Size(self.overview.width, self.overview.height + CAPTION)
        if self.stacked:
            width = max(self.fitted.width, self.overview.width)
            return Size(width, self.fitted.height + self.overview.height + 2 * CAPTION + GAP)
        height = max(self.fitted.height, self.overview.height)
        return Size(self.fitted.width + GAP + self.overview.width, height + CAPTION)

    def draw(self, canvas: Canvas, picture: Image.Image, x: int, y: int) -> None:
        """Draw them with the upper left corner of the area at `x, y`."""
        if self.cut:
            self._draw_tiles(canvas, picture, x, y)
            if self.stacked:
                y += CAPTION + self.fitted.height + GAP
            else:
                x += self.fitted.width + GAP
        upper, size = y + CAPTION, self.overview
        _caption(canvas, x, y, size.width, "global view", f" of {self.tiling.overview}")
        box = Box(x, upper, x + size.width, upper + size.height)
        self._frame(canvas, picture, self.tiling.placed_globally, self.tiling.overview, box)
        canvas.rectangle(box, outline=GLOBAL_VIEW, width=2)

    def _draw_tiles(self, canvas: Canvas, picture: Image.Image, x: int, y: int) -> None:
        rows, cols = self.tiling.grid
        upper, size = y + CAPTION, self.fitted
        _caption(
            canvas, x, y, size.width, f"{rows} x {cols} tile{'s' * (rows * cols > 1)}", f" of {self.tiling.tile_size}"
        )
        box = Box(x, upper, x + size.width, upper + size.height)
        self._frame(canvas, picture, self.tiling.placed, self.tiling.resolution, box)
        self._tiles(canvas, x, upper)

    def _frame(self, canvas: Canvas, picture: Image.Image, place: Box, frame: Size, box: Box) -> None:
        size = Size((box.right - box.left) * canvas.scale, (box.lower - box.upper) * canvas.scale)
        ground = hatched(size, step=9 * canvas.scale)
        canvas.picture(placed(picture, place, frame, ground), box.left, box.upper)

    def _tiles(self, canvas: Canvas, x: int, y: int) -> None:
        rows, cols = self.tiling.grid
        edges_x = [x + round(col * self.fitted.width / cols) for col in range(cols + 1)]
        edges_y = [y + round(row * self.fitted.height / rows) for row in range(rows + 1)]
        for edge in edges_x[1:-1]:
            canvas.rectangle(Box(edge - 1, y, edge + 1, edges_y[-1]), fill=PAPER)
        for edge in edges_y[1:-1]:
            canvas.rectangle(Box(x, edge - 1, edges_x[-1], edge + 1), fill=PAPER)
        canvas.rectangle(Box(x, y, edges_x[-1], edges_y[-1]), outline=TILE, width=2)
        if min(self.fitted.width / cols, self.fitted.height / rows) >= 44:
            for row, col in product(range(rows), range(cols)):
                canvas.label(edges_x[col] + 5, edges_y[row] + 5, f"{row + 1},{col + 1}", color=TILE)


def _caption(canvas: Canvas, x: int, y: int, width: int, text: str, more: str) -> None:
    fits = text_width(text + more, CAPTION_SIZE) <= width
    canvas.text(x, y, text + more if fits else text, size=CAPTION_SIZE, color=MUTED)


def _times(size: Size, factor: float) -> Size:
    return Size(max(round(size.width * factor), 1), max(round(size.height * factor), 1))
