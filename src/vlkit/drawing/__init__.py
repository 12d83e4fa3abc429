"""Drawing: pictures that explain the way from pixels to tokens; needs Pillow and no other library."""

from vlkit.drawing.answer_panel import GivenAnswer, draw_answers
from vlkit.drawing.bars import Bars, draw_bars
from vlkit.drawing.blocks import Block, Cell, Row, arrange_blocks
from vlkit.drawing.boxes import MarkedBox, draw_boxes
from vlkit.drawing.curves import Curve, Panel, draw_curves
from vlkit.drawing.failures import Failure, draw_failures
from vlkit.drawing.layout_picture import draw_layout
from vlkit.drawing.stacking import stacked

__all__ = [
    "Bars",
    "Block",
    "Cell",
    "Curve",
    "Failure",
    "GivenAnswer",
    "MarkedBox",
    "Panel",
    "Row",
    "arrange_blocks",
    "draw_answers",
    "draw_bars",
    "draw_boxes",
    "draw_curves",
    "draw_failures",
    "draw_layout",
    "stacked",
]
