"""Drawing: pictures that explain the way from pixels to tokens; needs Pillow and no other library."""

from vlkit.drawing.bars import Bars, draw_bars
from vlkit.drawing.blocks import Block, Cell, Row, arrange_blocks
from vlkit.drawing.layout_picture import draw_layout

__all__ = ["Bars", "Block", "Cell", "Row", "arrange_blocks", "draw_bars", "draw_layout"]
