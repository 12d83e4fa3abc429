"""A run from its first or its last checkpoint to its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vlkit.errors import TrainingError
from vlkit.models.auto import save_pretrained
from vlkit.training.batching import Batches
from vlkit.training.batching_config import BatchingConfig
from vlkit.training.checkpoints import Checkpoints, read_state
from vlkit.training.curve import draw_history
from vlkit.training.expert_statistics import ExpertStatistics
from vlkit.training.held_out import FirstSamples, mean_loss
from vlkit.training.ingredients import Ingredients, groups_of
from vlkit.training.lora import merge_adapters
from vlkit.training.metrics import Means, MetricsFile, Row
from vlkit.training.progress import OnProgress, Progress
from vlkit.training.recipe import Recipe
from vlkit.training.recomputation import recomputed_blocks
from vlkit.training.run_folder import RunFolder
from vlkit.training.saving import restore_optimizer_of, restore_weights, trainer_writer
from vlkit.training.sharding import is_sharded, whole_model
from vlkit.training.source import SampleSource
from vlkit.training.trainer import Trainer
from vlkit.training.training_batch import Skipped
from vlkit.training.whole_folder import remove_unfinished, write_whole
from vlkit.vlm import VLM

DRAW_SECONDS = 10.0
"""Least time from one drawing of the curve to the next."""


class Run:
    """One run in this process.

    Args:
        recipe: of the run.
        folder: of the run.
        found: model, data and processor.
        accelerator: of this process.
        evaluate: further measures at each evaluation.
        on_progress: told after each step.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        found: Ingredients,
        accelerator: Any,
        *,
        evaluate: Callable[[VLM, int], Mapping[str, float]] | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.recipe, self.folder, self.found, self.accelerator = recipe, folder, found, accelerator
        self.evaluate, self.on_progress = evaluate, on_progress
        self.metrics, self.checkpoints = MetricsFile(folder.metrics), Checkpoints(folder.checkpoints, keep=recipe.keep)
        self.means, self.history = Means(), list[Row]()
        self.sums = {"tokens": 0, "samples": 0, "skipped": 0}
        self.seconds, self.drawn = 0.0, 0.0

    def go(self) -> VLM:
        """Begin, or go on from the last checkpoint, and train to the end; the trained model."""
        latest = self.checkpoints.latest()
        model = self.found.make_model()
        groups = groups_of(self.recipe, model)
        if latest is not None:
            restore_weights(model, latest)
        batches = self._batches(self.found.source, self.recipe.batching, on_skip=self._note_skipped)
        trainer = Trainer(self.recipe, model, groups, batches, self.accelerator)
        if self.evaluate is not None and is_sharded(model):
            raise TrainingError(
                "evaluate with weights that several processes share",
                rule="it runs in one process, which then lacks most of them",
                remedy="evaluate the checkpoints afterwards",
            )
        self._begin(trainer, latest)
        with recomputed_blocks(model, wanted=self.recipe.gradient_checkpointing):
            while trainer.step < self.recipe.steps:
                self._advance(trainer)
        return self._finish(trainer)

    def _begin(self, trainer: Trainer, latest: Path | None) -> None:
        if latest is not None:
            state = read_state(latest)
            trainer.step, self.sums, self.seconds = state["step"], state["sums"], state["seconds"]
            trainer.batches.restore(state["batches"])
            self.means.restore(state["means"])
            restore_optimizer_of(trainer, latest)
        if self.accelerator.is_main_process:
            if latest is None:
                self.folder.begin(self.recipe)
            self.checkpoints.clean()
            remove_unfinished(self.folder.path)
            self.history = self.metrics.keep_until(trainer.step)
        self.accelerator.wait_for_everyone()

    def _advance(self, trainer: Trainer) -> None:
        began = time.perf_counter()
        measured = trainer.advance()
        for name in self.sums:
            self.sums[name] += int(measured.pop(name))
        tokens = self.sums["tokens"]
        if self.recipe.balance.statistics:
            measured |= ExpertStatistics(trainer.loads).summary()
        self.means.add(measured)
        step, last = trainer.step, trainer.step == self.recipe.steps
        measuring = self.recipe.evaluation is not None and (last or step % self.recipe.evaluation.every == 0)
        taken = time.perf_counter() - began
        self.seconds += taken
        row = self._row(trainer, measuring) if last or measuring or step % self.recipe.log_every == 0 else None
        if last or step % self.recipe.save_every == 0:
            self._save(trainer)
        self._tell(trainer, measured["loss"], taken, tokens, row)

    def _row(self, trainer: Trainer, measuring: bool) -> Row:
        """Row of the metrics after this step, which the main process writes."""
        rate = self.recipe.optimizer.lr * self.recipe.schedule.factor(trainer.step, self.recipe.steps)
        row: Row = {"step": trainer.step, **self.means.take(), "lr": rate, **self.sums}
        row["seconds"] = round(self.seconds, 3)
        if measuring:
            row |= self._measure(trainer)
        if self.accelerator.is_main_process:
            self.metrics.append(row)
            self.history.append(row)
            self._draw(force=trainer.step == self.recipe.steps)
        return row

    def _measure(self, trainer: Trainer) -> Row:
        """Loss on held-out samples, and what the user's own function measures."""
        assert self.recipe.evaluation is not None
        row: Row = {}
        if self.found.held_out is not None:
            samples = FirstSamples(self.found.held_out, self.recipe.evaluation.samples)
            config = self.recipe.batching.replace(shuffle=False, workers=0)
            row |= mean_loss(trainer.objective, self._batches(samples, config, epochs=1), self.accelerator)
        if self.evaluate is not None and self.accelerator.is_main_process:
            trainer.model.eval()
            row |= {f"eval_{name}": float(value) for name, value in self.evaluate(trainer.model, trainer.step).items()}
            trainer.model.train()
        self.accelerator.wait_for_everyone()
        return row

    def _batches(self, source: SampleSource, config: BatchingConfig, **more: Any) -> Batches:
        """This process's share of a source's batches."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        return Batches(source, self.found.processor, config, seed=self.recipe.seed, rank=rank, world=world, **more)

    def _save(self, trainer: Trainer) -> None:
        write = trainer_writer(trainer, self.found.processor)
        if self.accelerator.is_main_process:
            state = {
                "batches": trainer.batches.state(),
                "means": self.means.state(),
                "sums": self.sums,
                "seconds": self.seconds,
            }
            self.checkpoints.write(trainer.step, state, write)
        self.accelerator.wait_for_everyone()

    def _finish(self, trainer: Trainer) -> VLM:
        """The trained model without adapters, in a folder of its own."""
        model = whole_model(trainer.model).eval()
        merge_adapters(model)
        if self.accelerator.is_main_process:
            write_whole(
                self.folder.model, lambda folder: save_pretrained(model, folder, processor=self.found.processor)
            )
        self.accelerator.wait_for_everyone()
        return model

    def _tell(self, trainer: Trainer, loss: float, taken: float, tokens: int, row: Row | None) -> None:
        if self.on_progress is None or not self.accelerator.is_main_process:
            return
        left = (self.recipe.steps - trainer.step) * self.seconds / trainer.step
        self.on_progress(Progress(trainer.step, self.recipe.steps, loss, tokens / max(self.seconds, 1e-9), left, row))

    def _draw(self, *, force: bool) -> None:
        now = time.monotonic()
        if force or now - self.drawn >= DRAW_SECONDS:
            draw_history(self.history, self.folder.curve)
            self.drawn = now

    def _note_skipped(self, skipped: Skipped) -> None:
        with (self.folder.path / "skipped.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"origin": skipped.origin, "reason": skipped.reason}, ensure_ascii=False) + "\n")
