"""A model on a set of samples: asked, answered and measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from vlkit.errors import InputError, VlkitError
from vlkit.evaluation.answering import answer, evaluating
from vlkit.evaluation.metrics import Metric, resolve_metrics
from vlkit.evaluation.normalization import TextNormalization
from vlkit.evaluation.questions import (
    Asker,
    EncodedQuestion,
    Grouping,
    References,
    Source,
    explained,
    last_answer,
    resolve_grouping,
)
from vlkit.evaluation.results import Evaluation, Result, Skipped

if TYPE_CHECKING:
    from vlkit.processing.processor import Processor
    from vlkit.vlm import VLM

WINDOW = 8
"""Batches that are encoded ahead, so that questions of like length can share one."""


def evaluate(
    model: VLM,
    processor: Processor[Any],
    source: Source,
    *,
    metrics: Sequence[str | Metric] | None = None,
    normalization: TextNormalization | None = None,
    max_new_tokens: int = 64,
    batch_size: int = 8,
    limit: int | None = None,
    group_by: Grouping | None = None,
    references: References = last_answer,
    bad_samples: Literal["refuse", "skip"] = "refuse",
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Let a model answer the questions of a set, always with the most likely token, and measure the answers.

    Args:
        model: set to evaluation mode meanwhile.
        processor: that of the model.
        source: samples; the conversation up to the last answer is the question.
        metrics: names of `METRICS`, or measures of your own; None: all of the library.
        normalization: what counts as the same text; None: spaces and the Unicode form do not matter, all else does.
        max_new_tokens: most tokens of an answer.
        batch_size: most questions at a time.
        limit: first so many samples of the source; needed for a source without end.
        group_by: "tiles", "pictures", or a function that names a sample's group; None: one group.
        references: gives all right answers of a sample; by default its last turn is the only one.
        bad_samples: whether one that cannot be used is an error or left out and listed.
        progress: is told samples done and samples in all.

    Raises:
        InputError: if an argument is not valid, or a sample is not and `bad_samples` is "refuse".
    """
    for name, value in {"max_new_tokens": max_new_tokens, "batch_size": batch_size, "limit": limit}.items():
        if value is not None and (type(value) is not int or value < 1):
            raise InputError(f"{name} is {value!r:.80}", rule="it is a whole number, 1 or more")
    if bad_samples not in ("refuse", "skip"):
        raise InputError(f"bad_samples is {bad_samples!r:.80}", rule='it is "refuse" or "skip"')
    chosen, same = resolve_metrics(metrics), normalization or TextNormalization()
    asker = Asker(model, processor, max_new_tokens, references, resolve_grouping(group_by))
    total = _total(source, limit)
    results: list[Result] = []
    skipped: list[Skipped] = []
    with evaluating(model):
        for start in range(0, total, WINDOW * batch_size):
            window = range(start, min(start + WINDOW * batch_size, total))
            asked = [_asked(asker, source, index, refuse=bad_samples == "refuse") for index in window]
            questions = [question for question in asked if isinstance(question, EncodedQuestion)]
            skipped += [question for question in asked if isinstance(question, Skipped)]
            answers = answer(
                model,
                processor,
                [question.encoded for question in questions],
                max_new_tokens=max_new_tokens,
                batch_size=batch_size,
                progress=None if progress is None else partial(_tell, progress, len(results) + len(skipped), total),
            )
            results += [
                Result.of(question, text, metrics=chosen, normalization=same)
                for question, text in zip(questions, answers, strict=True)
            ]
    settings = {"max_new_tokens": max_new_tokens, "limit": limit}
    return Evaluation(chosen, same, tuple(results), tuple(skipped), settings)


def _tell(progress: Callable[[int, int], None], before: int, total: int, answered: int) -> None:
    progress(before + answered, total)


def _asked(asker: Asker, source: Source, index: int, *, refuse: bool) -> EncodedQuestion | Skipped:
    """Question of a sample, or why there is none."""
    origin = f"sample {index}"
    try:
        sample = source.sample(index)
        origin = sample.origin
        return asker.ask(sample, index)
    except VlkitError as error:
        told = explained(error, getattr(error, "origin", origin))
        if refuse:
            raise told from None
        return Skipped(index, getattr(error, "origin", origin), told.problem)


def _total(source: Source, limit: int | None) -> int:
    if source.count is None and limit is None:
        raise InputError("the source has no end", rule="an evaluation does", remedy="set limit")
    return min(number for number in (source.count, limit) if number is not None)
