"""`vlkit eval`: a checkpoint on a set of samples, measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlkit.cli import options
from vlkit.errors import InputError

if TYPE_CHECKING:
    from vlkit.evaluation import Evaluation
    from vlkit.training.source import SampleSource


def evaluate(
    model: Annotated[str, typer.Argument(help="Folder, hub id (owner/name), or vlkit-reader.")],
    data: Annotated[Path | None, typer.Option("--data", "-d", help="JSON lines in LLaVA's form.")] = None,
    images: Annotated[Path | None, typer.Option("--images", help="Folder that picture paths start from.")] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help="Recipe in place of --data: its evaluation's data, or if it has none what it learns from."),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="What is measured; repeat it for more.", show_default="all")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="First so many samples.", show_default="all")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for evaluation.json and failures.png.")
    ] = None,
    group_by: Annotated[str | None, typer.Option(help="Measure groups as well: by tiles or pictures.")] = None,
    ignore_case: Annotated[bool, typer.Option("--ignore-case", help="Capitals count as small letters.")] = False,
    ignore_punctuation: Annotated[
        bool, typer.Option("--ignore-punctuation", help="ASCII punctuation does not count.")
    ] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out samples that cannot be used.")] = False,
    worst: Annotated[int, typer.Option(min=1, help="Most samples in failures.png.")] = 24,
    font: Annotated[Path | None, typer.Option(help="Font file for texts that are not in ASCII.")] = None,
    max_new_tokens: options.MaxNewTokens = 64,
    batch_size: Annotated[int, typer.Option(min=1, help="Most questions at a time.")] = 8,
    dtype: options.ModelDtype = None,
    device: options.Device = None,
    revision: options.Revision = None,
    as_json: options.AsJson = False,
) -> None:
    """Let a checkpoint answer the questions of a set, and measure its answers with their uncertainty."""
    from vlkit.cli.generate import open_model, open_processor
    from vlkit.evaluation import TextNormalization
    from vlkit.evaluation import evaluate as measure
    from vlkit.evaluation.metrics import resolve_metrics
    from vlkit.evaluation.questions import resolve_grouping

    source, place = open_source(data, images, recipe), options.torch_device(device)
    resolve_metrics(metric)
    resolve_grouping(group_by)
    if source.count is None and limit is None:
        raise InputError("the source has no end", rule="an evaluation does", remedy="set --limit")
    if font is not None:
        from vlkit.drawing.canvas import load_font

        load_font(12, font)
    processor, _ = open_processor(model, revision=revision)
    loaded = open_model(model, revision=revision, dtype=dtype, device=place)
    with _progress() as report:
        evaluation = measure(
            loaded,
            processor,
            source,
            metrics=metric,
            normalization=TextNormalization(ignore_case=ignore_case, ignore_punctuation=ignore_punctuation),
            max_new_tokens=max_new_tokens,
            batch_size=batch_size,
            limit=limit,
            group_by=group_by,
            bad_samples="skip" if skip_bad else "refuse",
            progress=report,
        )
    typer.echo(json.dumps(evaluation.to_dict(), indent=2, ensure_ascii=False) if as_json else str(evaluation))
    for skipped in evaluation.skipped:
        typer.echo(f"skipped: {skipped.reason}", err=True)
    if output is not None:
        _write(evaluation, source, output, worst=worst, font=font, quiet=as_json)


def open_source(data: Path | None, images: Path | None, recipe: Path | None) -> SampleSource:
    """The samples that the options name.

    Raises:
        InputError: if they name none or two sources.
        ConfigError: if the recipe or the set cannot be read.
    """
    from vlkit.training.data import JsonLinesConfig, sources
    from vlkit.training.recipe import Recipe

    if (data is None) == (recipe is None):
        raise InputError(
            "neither --data nor --recipe" if data is None else "both --data and --recipe",
            rule="one of them says what is asked",
            remedy="--data set.jsonl --images folder, or --recipe recipe.toml",
        )
    if data is not None:
        return sources.build(JsonLinesConfig(file=str(data), images=None if images is None else str(images)))
    if images is not None:
        raise InputError("--images with --recipe", rule="a recipe names its own folder of pictures")
    assert recipe is not None
    read = Recipe.from_file(recipe)
    chosen = (read.evaluation and read.evaluation.data) or read.data
    if chosen is None:
        raise InputError(f"{recipe} names no data", rule="a recipe says what is learned from in its table data")
    return sources.build(chosen)


def _write(
    evaluation: Evaluation, source: SampleSource, folder: Path, *, worst: int, font: Path | None, quiet: bool
) -> None:
    from vlkit.cli.layout import save_png
    from vlkit.evaluation import draw_worst

    evaluation.save(folder / "evaluation.json")
    save_png(draw_worst(evaluation, source, most=worst, font=font), folder / "failures.png")
    typer.echo(f"written: {folder / 'evaluation.json'}, {folder / 'failures.png'}", err=quiet)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Context with a function that is told samples done and samples in all, and shows them on standard error."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from vlkit.cli.terminal import console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("samples", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
