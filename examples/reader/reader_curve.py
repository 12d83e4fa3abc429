"""The picture of the reader's training: its loss, and how well it read and found on the way."""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from vlkit.drawing import Curve, Panel, draw_curves

LOSS = {"loss": "loss"}
RIGHT = {
    "eval_word_exact": "single words read without a mistake",
    "eval_page_exact": "pages read without a mistake",
    "eval_boxes": "words found, IoU of 0.5 or more",
}


def training_curve(rows: Sequence[dict[str, Any]]) -> Image.Image:
    """Picture of the rows of a run, or of several that went on from each other.

    Args:
        rows: as in metrics.jsonl.
    """
    panels = [Panel(_curves(rows, names), least=0.0) for names in (LOSS, RIGHT)]
    last = rows[-1]
    title = f"{last['step']:,} steps, {last['samples']:,} pictures; words of evaluations were never trained on"
    return draw_curves([panel for panel in panels if panel.curves], title=title, axis="step")


def _curves(rows: Sequence[dict[str, Any]], names: dict[str, str]) -> list[Curve]:
    curves = [Curve(caption, [(row["step"], row[key]) for row in rows if key in row]) for key, caption in names.items()]
    return [curve for curve in curves if curve.points]
