"""`vlkit train`: a model trained as a recipe says, from the beginning or from where it stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vlkit.training import Progress, TrainingResult


def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe (.toml, .json or .yaml), or with --resume a run's folder.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the run.", show_default="runs/NAME-OF-THE-RECIPE")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Another value, as optimizer.lr=1e-3; repeat it for more.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, and do nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
) -> None:
    """Train a model as a recipe says: metrics, curve, checkpoints and at last the model go to the output folder.

    A run that was stopped goes on with --resume. Under `accelerate launch` or `torchrun` it takes all their processes.
    """
    from vlkit.config import read_mapping
    from vlkit.training import Recipe, RunFolder, gather, make_plan, with_overrides
    from vlkit.training import train as run_training

    if resume and recipe.is_dir():
        recipe, output = RunFolder(recipe).recipe, output or recipe
    chosen = Recipe.model_validate(with_overrides(read_mapping(recipe), set_ or ()))
    folder = output or Path("runs") / recipe.stem
    RunFolder(folder).require_fit(chosen, resume)
    found = gather(chosen)
    if dry_run:
        typer.echo(str(make_plan(chosen, found)))
        return
    main = os.environ.get("RANK", "0") == "0"
    if main:
        typer.echo(f"{found.table}\n")
    with _progress(shown=main) as report:
        result = run_training(chosen, output=folder, resume=resume, on_progress=report)
    if main:
        typer.echo(_summary(result))


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[Progress], None]]:
    """Context with a function that shows how far the run is: a bar for those who look, else a line per row."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    from vlkit.cli.terminal import console

    looked_at = shown and sys.stderr.isatty()
    columns = (TextColumn("step"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=console(stderr=True), disable=not looked_at) as bar:
        task = bar.add_task("", total=None)

        def report(progress: Progress) -> None:
            bar.update(task, completed=progress.step, total=progress.steps, description=_state(progress))
            if shown and not looked_at and progress.row is not None:
                typer.echo(f"step {progress.step} of {progress.steps}: {_state(progress)}", err=True)

        yield report


def _state(progress: Progress) -> str:
    left = timedelta(seconds=round(progress.seconds_left))
    return f"loss {progress.loss:.4f}, {progress.tokens_per_second:,.0f} tokens/s, {left} left"


def _summary(result: TrainingResult) -> str:
    last = result.history[-1]
    held_out = f", {last['eval_loss']:.4f} on held-out samples" if "eval_loss" in last else ""
    lines = [f"{last['step']:,} steps, {last['tokens']:,} tokens: loss {last['loss']:.4f}{held_out}"]
    if last["skipped"]:
        lines.append(f"{last['skipped']:,} samples skipped, listed in {result.folder / 'skipped.jsonl'}")
    return "\n".join([*lines, f"model in {result.folder / 'model'}"])
