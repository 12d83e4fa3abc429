"""What variants are compared by, and the measuring of one trained model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from vlkit.errors import InputError
from vlkit.evaluation.metrics import Metric
from vlkit.evaluation.running import evaluate
from vlkit.processing.processor import Processor
from vlkit.training.metrics import Row
from vlkit.training.recipe import Recipe
from vlkit.training.source import SampleSource
from vlkit.vlm import VLM

OwnMetric = Callable[[VLM, Processor[Any]], Mapping[str, float]]
"""Gets a trained model in evaluation mode and its processor; gives numbers by name."""
LAST_PART = 0.1
"""Part of the steps, the last ones, that the training loss is the mean of."""


@dataclass(frozen=True)
class Measure:
    """What a number is.

    Args:
        name: of the number.
        about: what it says, in a few words.
        higher_is_better: which way is good; None: not known.
    """

    name: str
    about: str
    higher_is_better: bool | None

    @property
    def title(self) -> str:
        """Name, and which way is good."""
        ways = {True: "higher is better", False: "lower is better", None: ""}
        return f"{self.name} ({ways[self.higher_is_better]})" if ways[self.higher_is_better] else self.name


LOSSES = {
    "loss": Measure("loss", "of training, mean of the last tenth of the steps", False),
    "eval_loss": Measure("eval_loss", "on held-out samples, after the last step", False),
}


@dataclass(frozen=True)
class Judge:
    """Everything that is measured besides the losses.

    Args:
        metrics: of the answers to held-out samples.
        own: the user's function.
        max_new_tokens: most tokens of an answer.
    """

    metrics: tuple[Metric, ...] = ()
    own: OwnMetric | None = None
    max_new_tokens: int = 64

    @property
    def key(self) -> dict[str, Any]:
        """What decides the numbers; measured again if it changes."""
        own = None if self.own is None else f"{self.own.__module__}.{getattr(self.own, '__qualname__', '')}"
        return {"metrics": [metric.name for metric in self.metrics], "own": own, "max_new_tokens": self.max_new_tokens}

    @property
    def needs_model(self) -> bool:
        """Whether anything is measured on the model itself."""
        return bool(self.metrics) or self.own is not None

    def measures(self, names: Sequence[str]) -> list[Measure]:
        """What numbers of these names are."""
        known = LOSSES | {
            metric.name: Measure(metric.name, metric.about, metric.higher_is_better) for metric in self.metrics
        }
        return [known.get(name) or Measure(name, "your own", None) for name in names]

    def numbers(
        self, recipe: Recipe, model: VLM, processor: Processor[Any], held_out: SampleSource | None
    ) -> dict[str, float]:
        """Numbers of one trained model; measures that no sample counts for are left out.

        Raises:
            InputError: if the user's function gives something else than finite numbers by name, or a name twice.
        """
        numbers: dict[str, float] = {}
        if self.metrics:
            assert held_out is not None and recipe.evaluation is not None
            found = evaluate(
                model,
                processor,
                held_out,
                metrics=self.metrics,
                max_new_tokens=self.max_new_tokens,
                batch_size=recipe.batching.batch_size,
                limit=recipe.evaluation.samples,
                bad_samples=recipe.batching.bad_samples,
            )
            numbers |= {name: score.value for name, score in found.scores.items() if score.value is not None}
        if self.own is not None:
            own = self.own(model.eval(), processor)
            wrong = [name for name, value in own.items() if name in numbers | LOSSES or not isfinite(float(value))]
            if wrong:
                raise InputError(
                    f"the function of your own gives {', '.join(wrong)}",
                    rule="numbers are finite, and their names are not those of other measures",
                )
            numbers |= {name: float(value) for name, value in own.items()}
        return numbers


def losses(history: Sequence[Row], steps: int) -> dict[str, float]:
    """Losses of a run from the rows of its metrics, each of which is the mean since the row before."""
    spans = [(row, row["step"] - before) for before, row in zip([0, *(row["step"] for row in history)], history)]
    last = [(row, span) for row, span in spans if row["step"] > steps * (1 - LAST_PART)]
    found = {"loss": sum(row["loss"] * span for row, span in last) / sum(span for _, span in last)}
    return found | {name: row[name] for row in history[-1:] for name in ("eval_loss",) if name in row}
