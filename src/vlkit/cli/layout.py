"""`vlkit layout`: a picture of how an image becomes tokens, without any weights."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlkit.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from vlkit.vlm_config import VLMConfig


def layout(
    picture: Annotated[Path, typer.Argument(help="Any picture.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG file to write.")] = Path("vlkit-layout.png"),
    config: Annotated[str, typer.Option(help="Preset, config file, or checkpoint folder.")] = "deepseek-vl2-tiny",
    layout: Annotated[str | None, typer.Option("--layout", help="Another layout: 2D, 1D, or a plug-in's.")] = None,
    global_view: Annotated[str | None, typer.Option(help="Global view first (head) or last (tail).")] = None,
    no_crop: Annotated[bool, typer.Option("--no-crop", help="One tile only, as with more than two images.")] = False,
) -> None:
    """Draw how an image is cut and which token shows what; needs no weights."""
    from vlkit.builder import VLMBuilder
    from vlkit.models.auto import resolve_config
    from vlkit.processing import load

    require_png(output)
    given = resolve_config(config)
    fields = {} if global_view is None else {"global_view": global_view}
    chosen = VLMBuilder(given).layout(layout or given.layout.type, **fields).config
    image = load(picture)
    crop = False if no_crop else None
    tiling = chosen.tiling(image.size, crop=crop)
    tokens = chosen.image_tokens(image.size, crop=crop)
    drawn = draw(image, chosen, title=f"{picture.name}, {config}, {chosen.layout.type} layout", crop=crop)
    save_png(drawn, output)
    if chosen.layout.tile_count(tiling.grid):
        views = f"fitted to {tiling.resolution}, {tiling.grid} tiles of {chosen.grid} tokens each and a global view of "
    else:
        views = f"fitted to {tiling.overview}, not cut, a global view of "
    typer.echo(f"{picture.name}: {tiling.image_size} pixels, {views}{chosen.overview}, {tokens} tokens in all")
    typer.echo(f"drawn in {output}")


def draw(image: Image.Image, config: VLMConfig, *, title: str, crop: bool | None = None) -> Image.Image:
    """Picture of an image's way through a model's tiling and layout."""
    from vlkit.drawing import draw_layout

    return draw_layout(
        image,
        config.tiling(image.size, crop=crop),
        config.layout,
        config.grid,
        config.overview,
        token_size=config.token_size,
        title=title,
    )


def require_png(output: Path) -> None:
    """Refuse to write anything but a PNG file, before any work is done."""
    if output.suffix.lower() != ".png":
        raise InputError(f"{str(output)!r} is not a PNG file", rule="pictures are written as .png")
    if not output.parent.is_dir():
        raise InputError(f"there is no folder {str(output.parent)!r}", remedy="make it, or choose another one")


def save_png(image: Image.Image, output: Path) -> None:
    """Write a picture; a file that was there stays until the new one is whole."""
    from vlkit.files import explained, stage

    data = io.BytesIO()
    image.save(data, format="PNG")
    with explained(output):
        stage(output, [data.getvalue()]).replace(output)
