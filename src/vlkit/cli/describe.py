"""`vlkit describe`: what a model costs, before anything is downloaded or allocated."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from vlkit.cli.options import AsJson, Cache, Dtype, image_size, torch_dtype


def describe(
    config: Annotated[str, typer.Argument(help="Preset, config file, or checkpoint folder.")],
    image_size_: Annotated[
        list[str] | None, typer.Option("--image-size", help="Width and height as 1024x768; repeat it for more.")
    ] = None,
    prompt_tokens: Annotated[int, typer.Option(min=0, help="Tokens of the prompt's text.")] = 64,
    new_tokens: Annotated[int, typer.Option(min=0, help="Tokens of the answer.")] = 64,
    dtype: Annotated[Dtype, typer.Option(help="Type of weights, activations and cache.")] = Dtype.bfloat16,
    cache: Cache = "resident",
    crop: Annotated[
        bool | None, typer.Option("--crop/--no-crop", help="Cut pictures into tiles.", show_default="if at most two")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell parameters, image tokens, operations and memory of a model, without its weights.

    Presets: deepseek-vl2-tiny, deepseek-vl2-small, deepseek-vl2, mini, mini-dense.
    """
    from vlkit.models import auto

    about = auto.describe(
        config,
        image_sizes=[image_size(text) for text in image_size_ or ()],
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        dtype=torch_dtype(dtype),
        cache=cache,
        crop=crop,
    )
    typer.echo(json.dumps(about.to_dict(), indent=2) if as_json else str(about))
