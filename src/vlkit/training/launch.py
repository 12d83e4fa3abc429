"""Training from a recipe: the one function, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vlkit.processing.processor import Processor
from vlkit.training import machine
from vlkit.training.ingredients import gather
from vlkit.training.metrics import Row
from vlkit.training.progress import OnProgress
from vlkit.training.recipe import Recipe
from vlkit.training.run import Run
from vlkit.training.run_folder import Resume, RunFolder
from vlkit.training.source import SampleSource
from vlkit.vlm import VLM

Evaluate = Callable[[VLM, int], Mapping[str, float]]
"""Gets the model, in evaluation mode, and the number of steps done; gives numbers for the metrics by name."""


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves.

    Args:
        model: as trained, in evaluation mode.
        history: rows of the metrics, those from before a resumption included.
        folder: of the run; `model/` in it holds the model with its processor.
    """

    model: VLM
    history: list[Row]
    folder: Path


def train(
    recipe: Recipe | Mapping[str, Any] | str | Path,
    *,
    output: str | Path,
    source: SampleSource | None = None,
    held_out: SampleSource | None = None,
    model: VLM | None = None,
    processor: Processor[Any] | None = None,
    resume: Resume = "auto",
    evaluate: Evaluate | None = None,
    on_progress: OnProgress | None = None,
) -> TrainingResult:
    """Train a model as a recipe says, on whatever processes and devices accelerate finds.

    The output folder holds `recipe.toml`, `metrics.jsonl`, `curve.png`, `checkpoints/` and, at the end, `model/`. A
    run that was ended, however it was, goes on from its last checkpoint to the same numbers.

    Args:
        recipe: or its fields, or its file.
        output: folder of the run.
        source: samples, in place of the recipe's `data`.
        held_out: samples to measure on, in place of the recipe's `evaluation.data`.
        model: in float32, in place of the recipe's `model`; it is trained in place.
        processor: in place of the one that belongs to the model.
        resume: whether a run in the folder goes on: True demands one, False refuses it, "auto" takes what is there.
        evaluate: further measures at each evaluation, in the main process only.
        on_progress: told after each step, in the main process only.

    Raises:
        ConfigError: if the recipe is not valid or accelerate is not installed; before any weight is allocated.
        TrainingError: if the folder holds something else, or loss or gradient are not finite.
        SampleError: if a sample cannot be used and none may be skipped.
    """
    chosen = as_recipe(recipe)
    folder = RunFolder(output)
    folder.require_fit(chosen, resume)
    found = gather(
        chosen, source=source, held_out=held_out, model=model, processor=processor, evaluated=evaluate is not None
    )
    accelerator = machine.start(precision=chosen.precision, device=chosen.device)
    with torch.random.fork_rng(devices=[accelerator.device] if accelerator.device.type == "cuda" else []):
        run = Run(chosen, folder, found, accelerator, evaluate=evaluate, on_progress=on_progress)
        trained = run.go()
    return TrainingResult(trained, run.metrics.rows(), folder.path)


def as_recipe(recipe: Recipe | Mapping[str, Any] | str | Path) -> Recipe:
    """Recipe from itself, its fields, or its file.

    Raises:
        ConfigError: if it is not valid.
    """
    if isinstance(recipe, str | Path):
        return Recipe.from_file(recipe)
    return recipe if isinstance(recipe, Recipe) else Recipe.model_validate(dict(recipe))
