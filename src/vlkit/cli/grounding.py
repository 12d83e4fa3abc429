"""Boxes of an answer, drawn and told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vlkit.cli.layout import require_png, save_png
from vlkit.cli.terminal import printable
from vlkit.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image


def require_drawable(output: Path, pictures: int, font: Path | None) -> None:
    """Refuse what cannot be drawn, before any work is done.

    Raises:
        InputError: if the file is not a PNG file, there is not one picture, or the font is none.
    """
    require_png(output)
    if pictures != 1:
        raise InputError(
            f"--draw-boxes with {pictures} pictures",
            rule="the boxes of an answer do not say which picture they are on",
            remedy="give one --image",
        )
    if font is not None:
        from vlkit.drawing.canvas import load_font

        load_font(12, font)


def draw_answer(answer: str, picture: Image, output: Path, *, font: Path | None = None) -> dict[str, Any]:
    """Write the picture with the boxes of an answer, and tell on standard error what was drawn and what was not.

    Returns:
        The objects, their boxes in pixels, and the parts that could not be read, as JSON values.
    """
    from vlkit.drawing import draw_boxes
    from vlkit.processing import parse, to_pixels

    found = parse(answer)
    save_png(draw_boxes(picture, found.objects, font=font), output)
    objects = [(item.name, [list(to_pixels(box, picture.size)) for box in item.boxes]) for item in found.objects]
    malformed = [{"text": answer[part.start : part.stop], "reason": part.reason} for part in found.malformed]
    if not objects:
        typer.echo(f"nothing in the answer has a box; the picture is in {output} as it was", err=True)
    for number, (name, boxes) in enumerate(objects, 1):
        typer.echo(f"{number} {printable(name)}: {boxes} in pixels", err=True)
    for part in malformed:
        typer.echo(f"not usable: {printable(part['text'])!r:.120} ({part['reason']})", err=True)
    if objects:
        typer.echo(f"drawn in {output}", err=True)
    return {"objects": [{"name": name, "boxes": boxes} for name, boxes in objects], "malformed": malformed}
