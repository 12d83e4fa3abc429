"""The picture of a run's losses, rewritten as it goes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from vlkit.drawing import Curve, Panel, draw_curves
from vlkit.files import explained, stage
from vlkit.training.metrics import Row

LOSSES = {"loss": "loss", "eval_loss": "loss on held-out samples"}
SECOND = {"gradient_norm": "norm of the gradient, before it is clipped"}


def draw_history(rows: Sequence[Row], path: Path) -> None:
    """Write the picture as a whole: losses above, the norm of the gradient below.

    Raises:
        CheckpointError: if it cannot be written.
    """
    panels = [panel for panel in (_panel(rows, LOSSES), _panel(rows, SECOND)) if panel.curves]
    if not panels:
        return
    buffer = io.BytesIO()
    last = rows[-1]
    title = f"step {last['step']:,}: loss {last['loss']:.4g}, {last['tokens']:,} tokens in {last['seconds']:,.0f} s"
    draw_curves(panels, title=title, axis="step").save(buffer, "PNG")
    with explained(path):
        stage(path, [buffer.getvalue()]).replace(path)


def _panel(rows: Sequence[Row], names: dict[str, str]) -> Panel:
    curves = [
        Curve(caption, [(row["step"], row[name]) for row in rows if name in row]) for name, caption in names.items()
    ]
    return Panel([curve for curve in curves if curve.points])
