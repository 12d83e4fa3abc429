"""One run of a study: trained, measured and kept, or taken as it was kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vlkit.comparison.measures import Judge, losses
from vlkit.comparison.results import VariantRun
from vlkit.comparison.variants import Variant
from vlkit.errors import TrainingError
from vlkit.files import read_json, write_json
from vlkit.models.auto import from_pretrained
from vlkit.training.ingredients import gather
from vlkit.training.launch import train
from vlkit.training.metrics import MetricsFile
from vlkit.training.progress import Progress
from vlkit.training.recipe import Recipe
from vlkit.training.run_folder import RunFolder
from vlkit.training.source import SampleSource

MEASURED = "measured.json"
"""File in the folder of a run, written when it was measured; a run that has it is not run again."""


def run_folder(folder: Path, variant: Variant, repeated: int) -> RunFolder:
    """Folder of one run."""
    return RunFolder(folder / "runs" / variant.folder / f"seed-{repeated}")


def run_once(
    folder: RunFolder,
    recipe: Recipe,
    variant: Variant,
    repeated: int,
    judge: Judge,
    *,
    source: SampleSource | None,
    held_out: SampleSource | None,
    tell: Callable[[Progress | None], None],
) -> VariantRun:
    """One run, trained unless that is done, and measured unless that is done in the same way.

    Args:
        folder: of the run.
        recipe: of the repeat.
        variant: that it is a repeat of.
        repeated: number of the repeat.
        judge: what is measured.
        source: in place of the recipe's data.
        held_out: in place of the recipe's held-out data.
        tell: told how far it is, and once None if it was trained before.

    Returns:
        Its numbers, or why training failed: one variant that diverges does not end a study.
    """
    file, model = folder.path / MEASURED, None
    done = read_json(file) if file.is_file() else {}
    failed = None
    if not done:
        try:
            model = train(recipe, output=folder.path, source=source, held_out=held_out, on_progress=tell).model
        except TrainingError as error:
            failed = error.problem
    else:
        tell(None)
    if failed is None and done.get("judge") != judge.key:
        numbers: dict[str, float] = {}
        if judge.needs_model:
            found = gather(recipe, source=source, held_out=held_out)
            model = model or from_pretrained(folder.model)
            numbers = judge.numbers(recipe, model, found.processor, found.held_out)
        done = {"judge": judge.key, "numbers": numbers}
        write_json(file, done)
    history = MetricsFile(folder.metrics).rows()
    return VariantRun(
        variant=variant.name,
        repeat=repeated,
        seed=recipe.seed,
        numbers={} if failed else losses(history, recipe.steps) | done["numbers"],
        curve=[(row["step"], row["loss"]) for row in history],
        held_out_curve=[(row["step"], row["eval_loss"]) for row in history if "eval_loss" in row],
        seconds=history[-1]["seconds"] if history else 0.0,
        tokens=history[-1]["tokens"] if history else 0,
        failed=failed,
    )
