"""Measures of a text against one or several references, each for one sample; see `vlkit.evaluation.metrics`."""

from __future__ import annotations

from collections.abc import Sequence

from vlkit.errors import InputError
from vlkit.evaluation.edit_distance import levenshtein

ANLS_THRESHOLD = 0.5
"""Similarity below which an answer is worth nothing."""


def exact_match(answer: str, references: Sequence[str]) -> bool:
    """Whether the answer is one of the references."""
    _require(references)
    return answer in references


def anls(answer: str, references: Sequence[str], *, threshold: float = ANLS_THRESHOLD) -> float:
    """Normalised Levenshtein similarity to the nearest reference, 0 if it is below the threshold (arXiv:1907.00490).

    The similarity is 1 - distance / length of the longer text. What is compared there is lower-cased; pass texts in the
    form that is to count. A similarity equal to the threshold counts, as in the benchmark's own script and text; the
    formula in the paper leaves it out.

    Args:
        answer: what is measured.
        references: at least one.
        threshold: least similarity that counts.

    Returns:
        A number from 0 to 1; its mean over the samples is called ANLS.
    """
    _require(references)
    best = max(_similarity(answer, reference) for reference in references)
    return best if best >= threshold else 0.0


def _similarity(first: str, second: str) -> float:
    longest = max(len(first), len(second))
    return 1 - levenshtein(first, second) / longest if longest else 1.0


def character_errors(answer: str, references: Sequence[str]) -> tuple[int, int]:
    """Edits from the nearest reference, and that reference's length; nearest is the lowest rate, then the longest.

    An empty reference counts as one character, so that the rate stays finite.
    """
    _require(references)
    counts = [(levenshtein(answer, reference), max(len(reference), 1)) for reference in references]
    return min(counts, key=lambda count: (count[0] / count[1], -count[1]))


def character_error_rate(answers: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Edits over characters of the references, both summed over a corpus; for one sample pass lists of one.

    A rate is 0 if all is right and may exceed 1, if an answer is longer than its reference.

    Args:
        answers: one per sample.
        references: at least one per sample; the nearest counts.

    Raises:
        InputError: if there is no sample, or not as many answers as lists of references.
    """
    if not answers or len(answers) != len(references) or isinstance(references, str):
        raise InputError(
            f"{len(answers)} answers for {len(references)} lists of references", rule="one list for each answer"
        )
    counts = [character_errors(answer, own) for answer, own in zip(answers, references)]
    return sum(errors for errors, _ in counts) / sum(length for _, length in counts)


def _require(references: Sequence[str]) -> None:
    if not references or isinstance(references, str):
        raise InputError(f"references are {references!r:.80}", rule="they are a list of at least one text")
