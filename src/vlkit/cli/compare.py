"""`vlkit compare`: variants of a recipe, trained at small scale and told apart as far as the numbers allow."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlkit.cli import options
from vlkit.errors import ConfigError

if TYPE_CHECKING:
    from vlkit.comparison.running import StudyProgress


def compare(
    recipe: Annotated[Path, typer.Argument(help="Recipe (.toml, .json or .yaml) that all variants begin with.")],
    vary: Annotated[
        list[str], typer.Option("--vary", "-v", help="Name and values, as layout=2D,1D; repeat it for more.")
    ],
    seeds: Annotated[int, typer.Option(min=1, help="Repeats of each variant.")] = 3,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of each run.", show_default="the recipe's")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Measure of the answers to held-out samples, as exact_match; repeat it for more."),
    ] = None,
    max_new_tokens: options.MaxNewTokens = 64,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the study.", show_default="runs/NAME-OF-THE-RECIPE-compared"),
    ] = None,
    grid: Annotated[
        bool, typer.Option("--grid/--one-at-a-time", help="Every value with every other, or one change at a time.")
    ] = True,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Another value for all variants, as optimizer.lr=1e-3.")
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out variants that cannot be trained.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be trained, and do nothing.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Train variants of a recipe and compare them: means, spreads and paired differences, as a table and as a picture.

    The first value of each --vary is the baseline. The same command goes on with a study that was stopped.
    """
    from vlkit.comparison.planning import plan_study
    from vlkit.comparison.running import make_judge, run_study
    from vlkit.config import read_mapping
    from vlkit.training import Recipe, with_overrides

    judge = make_judge(metric or (), max_new_tokens=max_new_tokens)
    chosen = Recipe.model_validate(with_overrides(read_mapping(recipe), set_ or ()))
    study = plan_study(chosen, _factors(vary), seeds=seeds, steps=steps, grid=grid, skip_invalid=skip_invalid)
    typer.echo(str(study), err=as_json)
    if dry_run:
        return
    folder = output or Path("runs") / f"{recipe.stem}-compared"
    with _progress() as report:
        comparison = run_study(study, folder, judge=judge, on_progress=report)
    typer.echo(json.dumps(comparison.to_dict(), indent=2, ensure_ascii=False) if as_json else f"\n{comparison}")
    typer.echo(f"written: {folder / 'comparison.json'}, {folder / 'comparison.png'}", err=as_json)


def _factors(texts: list[str]) -> dict[str, list[Any]]:
    from vlkit.comparison.factors import parse_factor

    parsed = [parse_factor(text) for text in texts]
    names = [name for name, _ in parsed]
    if len(set(names)) < len(names):
        raise ConfigError(f"--vary names {', '.join(names)}", rule="a field is varied once", remedy="list all values")
    return dict(parsed)


@contextmanager
def _progress() -> Iterator[Callable[[StudyProgress], None]]:
    """Context with a function that shows how far the study is: a bar for those who look, else a line per run."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from vlkit.cli.terminal import console, printable

    looked_at = sys.stderr.isatty()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console(stderr=True), transient=True, disable=not looked_at) as bar:
        task, told = bar.add_task("", total=None), 0

        def report(progress: StudyProgress) -> None:
            nonlocal told
            what = printable(f"run {progress.run} of {progress.runs}: {progress.variant}, seed {progress.seed}")
            training = progress.training
            if training is not None:
                bar.update(task, completed=training.step, total=training.steps, description=what)
            if not looked_at and progress.run != told:
                typer.echo(what if training is not None else f"{what}, done before", err=True)
                told = progress.run

        yield report
