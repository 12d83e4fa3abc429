"""Answers that are there already, from any program, measured in the same way."""

from __future__ import annotations

from collections.abc import Sequence

from vlkit.errors import InputError, VlkitError
from vlkit.evaluation.metrics import Metric, resolve_metrics
from vlkit.evaluation.normalization import TextNormalization
from vlkit.evaluation.questions import (
    Grouping,
    Question,
    References,
    Source,
    explained,
    last_answer,
    last_question,
    resolve_grouping,
)
from vlkit.evaluation.results import Evaluation, Result


def measure_answers(
    answers: Sequence[str],
    source: Source,
    *,
    metrics: Sequence[str | Metric] | None = None,
    normalization: TextNormalization | None = None,
    group_by: Grouping | None = None,
    references: References = last_answer,
) -> Evaluation:
    """Measure answers to the first samples of a source.

    Args:
        answers: one for each sample, from the first on.
        source: the samples.
        metrics: as in `evaluate`, like all that follows; how pictures are cut is not known here.
        normalization: what counts as the same text.
        group_by: names the group of a sample.
        references: gives all right answers of a sample.

    Raises:
        InputError: if an argument is not valid, a sample is not, or there are fewer samples than answers.
    """
    if isinstance(answers, str) or (source.count is not None and source.count < len(answers)):
        raise InputError(f"{len(answers)} answers to {source.count} samples", rule="one answer for each sample")
    chosen, same, group_of = resolve_metrics(metrics), normalization or TextNormalization(), resolve_grouping(group_by)
    results = []
    for index, answer in enumerate(answers):
        sample = source.sample(index)
        try:
            right, text = tuple(references(sample)), last_question(sample)
        except VlkitError as error:
            raise explained(error, sample.origin) from None
        question = Question(index, sample.origin, text, right, group_of(sample, ()))
        results.append(Result.of(question, answer.strip(), metrics=chosen, normalization=same))
    return Evaluation(chosen, same, tuple(results), (), {})
