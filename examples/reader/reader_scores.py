"""Rows of the reader's results: scores with 95 % intervals, of all samples, of groups, and by how sure answers are."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from vlkit.evaluation.intervals import Ratio, Score
from vlkit.printed_text.answer import Answer

Row = dict[str, Any]


def rows_of(groups: Sequence[str], ratios: Callable[[int], dict[str, Ratio]]) -> list[Row]:
    """Scores of all samples, then of each group; none if there are no samples."""
    rows = []
    for name in ("all", *sorted(set(groups))):
        members = [ratios(number) for number, group in enumerate(groups) if name in ("all", group)]
        if members:
            scores = {measure: score(member[measure] for member in members) for measure in members[0]}
            rows.append({"name": name.strip(), "samples": len(members), **scores})
    return rows


def score(ratios: Iterable[Ratio]) -> Row:
    """Value and interval; no interval if all samples are alike in a way that gives none."""
    found = Score.of(list(ratios))
    ends = (found.low, found.high)
    if found.value is None or None in ends or ends[0] == ends[1]:
        ends = (None, None)
    value, low, high = (None if number is None else round(number, 5) for number in (found.value, *ends))
    return {"value": value, "low": low, "high": high}


def believed(answer: Answer, threshold: float) -> bool:
    """`Answer.believable` with another threshold."""
    return bool(answer.text) and answer.ended and answer.probability >= threshold


def sureness_rows(task: str, answers: Sequence[Answer], right: Sequence[bool]) -> list[Row]:
    """Share of right answers among those that are believed and the others."""
    rows = []
    for name, wanted in (("believed", True), ("not believed", False)):
        members = [Ratio(good, 1) for answer, good in zip(answers, right) if answer.believable == wanted]
        rows.append({"task": task, "name": name, "samples": len(members), "right": score(members)})
    return rows


def believed_row(kind: str, read: Sequence[Answer], located: Sequence[Answer]) -> Row:
    """Share of answers to each question that are believed."""
    shares = [score(Ratio(answer.believable, 1) for answer in answers) for answers in (read, located)]
    return {"name": kind, "samples": len(read), "read": shares[0], "located": shares[1]}


def threshold_row(
    threshold: float, read: Sequence[Answer], right: Sequence[bool], others: dict[str, list[Answer]]
) -> Row:
    """What a threshold does: to pages, and to pictures that hold no such text."""
    sure = [believed(answer, threshold) for answer in read]
    return {
        "threshold": threshold,
        "believed": score(Ratio(is_sure, 1) for is_sure in sure),
        "right": score(Ratio(good, 1) for is_sure, good in zip(sure, right) if is_sure),
        "lost": score(Ratio(not is_sure, 1) for is_sure, good in zip(sure, right) if good),
        "others": {
            kind: score(Ratio(believed(answer, threshold), 1) for answer in answers)["value"]
            for kind, answers in others.items()
        },
    }
