"""`vlkit describe`: what a model costs, before anything is downloaded or allocated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlkit.cli.layout import require_png, save_png
from vlkit.cli.options import AsJson, Cache, Dtype, image_size, torch_dtype

if TYPE_CHECKING:
    from PIL import Image

    from vlkit.description import Comparison


def describe(
    config: Annotated[list[str], typer.Argument(help="Preset, config file, or checkpoint folder; several to compare.")],
    image_size_: Annotated[
        list[str] | None, typer.Option("--image-size", help="Width and height as 1024x768; repeat it for more.")
    ] = None,
    prompt_tokens: Annotated[int, typer.Option(min=0, help="Tokens of the prompt's text.")] = 64,
    new_tokens: Annotated[int, typer.Option(min=0, help="Tokens of the answer.")] = 64,
    dtype: Annotated[Dtype, typer.Option(help="Type of weights, activations and cache.")] = Dtype.bfloat16,
    cache: Cache = "resident",
    crop: Annotated[
        bool | None, typer.Option("--crop/--no-crop", help="Cut pictures into tiles.", show_default="as the model does")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="PNG file for bars of a comparison.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell parameters, image tokens, operations and memory of a model, or of several side by side, without weights.

    Presets are listed by `vlkit components presets`.
    """
    from vlkit.description import compare
    from vlkit.models import auto

    if output is not None:
        require_png(output)
    what: dict[str, Any] = {
        "image_sizes": [image_size(text) for text in image_size_ or ()],
        "prompt_tokens": prompt_tokens,
        "new_tokens": new_tokens,
        "dtype": torch_dtype(dtype),
        "cache": cache,
        "crop": crop,
    }
    about = {name: auto.describe(name, **what) for name in config}
    comparison = compare(about)
    if as_json:
        found = {name: each.to_dict() for name, each in about.items()}
        typer.echo(json.dumps(found if len(found) > 1 else found[config[0]], indent=2))
    else:
        typer.echo(str(comparison if len(about) > 1 else about[config[0]]))
    if output is not None:
        save_png(_drawn(comparison, title=_title(image_size_ or [], prompt_tokens, new_tokens)), output)
        typer.echo(f"drawn in {output}", err=as_json)


def _drawn(comparison: Comparison, *, title: str) -> Image.Image:
    from vlkit.drawing import Bars, draw_bars

    return draw_bars(comparison.names, [Bars(*measure) for measure in comparison.measures], title=title)


def _title(sizes: list[str], prompt_tokens: int, new_tokens: int) -> str:
    pictures = f"pictures of {', '.join(sizes)}, " if sizes else ""
    return f"{pictures}{prompt_tokens} text tokens, {new_tokens} new tokens"
