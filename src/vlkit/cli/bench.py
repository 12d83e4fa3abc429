"""`vlkit bench`: time per stage, memory, and the share of what the hardware allows, on this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlkit.cli.layout import require_png, save_png
from vlkit.cli.options import AsJson, Cache, Device, Dtype, image_size, torch_device, torch_dtype

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from vlkit.bench import Report
    from vlkit.vlm import VLM

DEFAULT_SIZE = "1024x768"


def bench(
    config: Annotated[str, typer.Argument(help="Preset or config file, with random weights; or a checkpoint.")],
    image_size_: Annotated[
        list[str] | None,
        typer.Option("--image-size", help="Width and height; repeat it for more.", show_default=DEFAULT_SIZE),
    ] = None,
    no_image: Annotated[bool, typer.Option("--no-image", help="Text alone.")] = False,
    prompt_tokens: Annotated[int, typer.Option(min=0, help="Tokens of the prompt's text.")] = 64,
    new_tokens: Annotated[int, typer.Option(min=2, help="Tokens of the answer.")] = 64,
    dtype: Annotated[
        Dtype | None,
        typer.Option(help="Type of the weights.", show_default="bfloat16; of a checkpoint, as in the file"),
    ] = None,
    device: Device = None,
    cache: Cache = "resident",
    chunk_size: Annotated[int | None, typer.Option(min=1, help="Positions per pass of the prefill.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Requests that count.")] = 5,
    warmup: Annotated[int, typer.Option(min=0, help="Requests before them.")] = 2,
    floor: Annotated[bool, typer.Option("--floor/--no-floor", help="Measure the machine's own rates first.")] = True,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="PNG file for bars of the stages.")] = None,
    as_json: AsJson = False,
) -> None:
    """Time every stage of a request, from the picture's file to the last token, and tell its share of the floor."""
    from vlkit.bench import Request, bench_model, measure_floor, require_memory
    from vlkit.models.auto import resolve_config

    if output is not None:
        require_png(output)
    sizes = [] if no_image else [image_size(text) for text in image_size_ or (DEFAULT_SIZE,)]
    request = Request(tuple(sizes), prompt_tokens, new_tokens, cache, chunk_size)
    place, kind = torch_device(device), torch_dtype(dtype)
    require_memory(request.describe(resolve_config(config), kind), place)
    with _progress() as began:
        began("building", None)
        model = _build(config, kind, place)
        began("measuring the machine", None)
        rates = measure_floor(place, model.dtype) if floor else None
        done = began("requests", warmup + runs)
        report = bench_model(model, request, name=config, runs=runs, warmup=warmup, floor=rates, progress=done)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        _show(report)
    if output is not None:
        save_png(draw(report), output)
        typer.echo(f"drawn in {output}", err=as_json)


def _build(config: str, dtype: torch.dtype | None, device: torch.device) -> VLM:
    """Model of a checkpoint with its weights, any other with random ones."""
    import torch

    from vlkit.bench import repeated_random
    from vlkit.checkpoint import holds_weights
    from vlkit.models.auto import build, from_pretrained

    if holds_weights(config):
        return from_pretrained(config, dtype=dtype, device=device)
    with repeated_random():
        return build(config, dtype=dtype or torch.bfloat16, device=device).eval()


@contextmanager
def _progress() -> Iterator[Callable[[str, int | None], Callable[[int, int], None]]]:
    """Context with a function that begins a step of so many parts, and gives one that is told the parts done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from vlkit.cli.terminal import console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("")

        def begin(what: str, parts: int | None) -> Callable[[int, int], None]:
            progress.reset(task, description=what, total=parts)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield begin


def _show(report: Report) -> None:
    from rich.table import Table
    from rich.text import Text

    from vlkit.bench.report import HEADINGS
    from vlkit.cli.terminal import console, printable

    table = Table(
        box=None, padding=(0, 2, 0, 0), title=f"{printable(report.model)}, {report.dtype}", title_justify="left"
    )
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if number else "left", header_style="italic")
    for stage in report.stages:
        table.add_row(*map(Text, stage.cells))
    about = Table.grid(padding=(0, 2))
    for name, value in report.summary:
        about.add_row(Text(name, style="bold"), Text(printable(value)))
    screen = console()
    screen.print(table)
    screen.print()
    screen.print(about)


def draw(report: Report) -> Image.Image:
    """Bars of the stages: what of a request's time each takes, decoding with all tokens, and its share of the floor."""
    from vlkit.bench.timing import as_time
    from vlkit.drawing import Bars, draw_bars

    further = report.request.new_tokens - 1
    seconds = [stage.seconds.median * (further if stage.name == "decode" else 1) for stage in report.stages]
    shares = [stage.share for stage in report.stages]
    measures = [Bars("time in a request", seconds, [as_time(each) for each in seconds])]
    if any(shares):
        measures.append(
            Bars("share of the floor", shares, ["" if share is None else f"{share:.0%}" for share in shares])
        )
    pictures = ", ".join(map(str, report.request.image_sizes)) or "no picture"
    title = f"{report.model}: {pictures}, {report.request.prompt_tokens} text tokens, {further + 1} new tokens"
    return draw_bars([stage.name for stage in report.stages], measures, title=title)
