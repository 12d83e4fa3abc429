"""Training the variants of a recipe, one run after the other, and comparing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vlkit.comparison.measures import Judge, OwnMetric
from vlkit.comparison.one_run import run_folder, run_once
from vlkit.comparison.planning import Study, plan_study
from vlkit.comparison.results import ComparedVariant, Comparison, VariantRun
from vlkit.errors import InputError, TrainingError
from vlkit.evaluation.metrics import Metric, resolve_metrics
from vlkit.training.progress import Progress
from vlkit.training.recipe import Recipe
from vlkit.training.run_folder import differences
from vlkit.training.source import SampleSource


@dataclass(frozen=True)
class StudyProgress:
    """How far a study is.

    Args:
        run: number of the run, from 1.
        runs: in all.
        variant: name of the variant.
        seed: of the recipe.
        training: how far this run is; None if it was done before.
    """

    run: int
    runs: int
    variant: str
    seed: int
    training: Progress | None


OnStudyProgress = Callable[[StudyProgress], None]
"""Told after each step, and of each run that was done before."""


def compare(
    recipe: Recipe | Mapping[str, Any] | str | Path,
    vary: Mapping[str, Iterable[Any]],
    *,
    output: str | Path,
    seeds: int = 3,
    steps: int | None = None,
    metrics: Sequence[str | Metric] = (),
    measure: OwnMetric | None = None,
    max_new_tokens: int = 64,
    grid: bool = True,
    skip_invalid: bool = False,
    source: SampleSource | None = None,
    held_out: SampleSource | None = None,
    on_progress: OnStudyProgress | None = None,
) -> Comparison:
    """Train the variants of a recipe and compare them.

    Every variant is validated before the first one trains. Each run has a folder `runs/VARIANT/seed-N` as `train`
    writes it; what was done before is taken as it is, and a run that was stopped goes on. The output folder also gets
    `comparison.json`, rewritten after each run, and at the end `comparison.png`.

    Args:
        recipe: that all variants begin with, or its fields, or its file.
        vary: values by name, for instance `{"layout": ["2D", "1D"], "lr": [1e-3, 3e-3]}`; the first of each make the
            baseline. A part is named by its tag, or as a table or config; what the recipe sets on the part it replaces
            stays set where it has such a field.
        output: folder of the study.
        seeds: repeats of each variant; they differ in weights, order, and samples that are made on demand.
        steps: in place of the recipe's.
        metrics: measures of the answers to held-out samples, by name or of your own; see `vlkit.evaluation`.
        measure: function of your own that gets a trained model and its processor, and gives numbers by name.
        max_new_tokens: most tokens of an answer.
        grid: whether every value meets every other; if not, one at a time differs from the baseline.
        skip_invalid: whether variants that cannot be trained are left out and reported.
        source: samples, in place of the recipe's `data`; the same in all repeats.
        held_out: samples to measure on, in place of the recipe's `evaluation.data`.
        on_progress: told how far it is.

    Raises:
        ConfigError: if a name, a value or a variant is not valid; before anything is trained.
        InputError: if a metric is not known or has no samples to measure on.
        TrainingError: if the folder holds something else.
    """
    judge = make_judge(metrics, measure=measure, max_new_tokens=max_new_tokens)
    study = plan_study(
        recipe, vary, seeds=seeds, steps=steps, grid=grid, skip_invalid=skip_invalid, source=source, held_out=held_out
    )
    return run_study(study, output, judge=judge, source=source, held_out=held_out, on_progress=on_progress)


def make_judge(metrics: Sequence[str | Metric], *, measure: OwnMetric | None = None, max_new_tokens: int = 64) -> Judge:
    """What is measured besides the losses.

    Raises:
        InputError: if there is no measure of a name.
    """
    return Judge(resolve_metrics(metrics) if metrics else (), measure, max_new_tokens)


def run_study(
    study: Study,
    output: str | Path,
    *,
    judge: Judge | None = None,
    source: SampleSource | None = None,
    held_out: SampleSource | None = None,
    on_progress: OnStudyProgress | None = None,
) -> Comparison:
    """Run a study that is planned; arguments and errors as in `compare`."""
    folder, judge = Path(output), judge or Judge()
    if judge.metrics and study.recipe.evaluation is None:
        raise InputError(
            f"{judge.metrics[0].name} without held-out samples",
            rule="answers are measured on samples that are not learned from",
            remedy="add the table [evaluation] to the recipe",
        )
    require_fit(study, folder)
    planned, runs = study.runs, list[VariantRun]()
    for number, (variant, repeated, recipe) in enumerate(planned, start=1):
        told = partial(StudyProgress, number, len(planned), variant.name, recipe.seed)
        place = run_folder(folder, variant, repeated)
        runs.append(
            run_once(
                place,
                recipe,
                variant,
                repeated,
                judge,
                source=source,
                held_out=held_out,
                tell=_teller(on_progress, told),
            )
        )
        comparison = _collected(study, judge, runs)
        comparison.save(folder / "comparison.json")
    if comparison.measures:
        comparison.save_plot(folder / "comparison.png")
    return comparison


def _teller(
    on_progress: OnStudyProgress | None, told: Callable[[Progress | None], StudyProgress]
) -> Callable[[Progress | None], None]:
    """Function that passes on how far a run is."""
    return lambda training: None if on_progress is None else on_progress(told(training))


def require_fit(study: Study, folder: Path) -> None:
    """Refuse a folder with another study or other files in it.

    Raises:
        TrainingError: naming what is there.
    """
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{folder} is a file", rule="the output is a folder", remedy="name another one")
    file = folder / "comparison.json"
    if file.is_file():
        changed = differences(Recipe.model_validate(Comparison.from_file(file).recipe), study.recipe)
        if changed:
            raise TrainingError(
                f"{folder} holds the study of another recipe: {', '.join(changed[:8])}",
                rule="a study goes on with its own recipe; factors, values and seeds may be added",
                remedy="name another folder",
            )
    elif folder.is_dir() and any(path.name != "runs" and path.name[0] != "." for path in folder.iterdir()):
        raise TrainingError(
            f"{folder} holds files that are no study",
            rule="the output is an empty folder, a new one, or that of the study",
            remedy="name another folder",
        )
    for variant, repeated, recipe in study.runs:
        run_folder(folder, variant, repeated).require_fit(recipe, "auto")


def _collected(study: Study, judge: Judge, runs: Sequence[VariantRun]) -> Comparison:
    names = dict.fromkeys(name for run in runs for name in run.numbers)
    first = [name for name in ("eval_loss", "loss") if name in names]
    return Comparison(
        recipe=study.recipe.model_dump(mode="json", exclude_none=True),
        factors={factor.name: (factor.path, factor.texts) for factor in study.factors},
        grid=study.grid,
        seeds=study.seeds,
        judge=judge.key,
        measures=judge.measures([*(name for name in names if name not in first), *first]),
        variants=[
            ComparedVariant(
                each.variant.name,
                each.variant.folder,
                dict(each.variant.settings),
                each.costs,
                each.refusal.problem if each.refusal else None,
            )
            for each in study.planned
        ],
        runs=list(runs),
    )
