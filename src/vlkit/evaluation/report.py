"""The picture of what went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vlkit.drawing.failures import Failure, draw_failures
from vlkit.evaluation.questions import Source
from vlkit.evaluation.results import Evaluation, Result
from vlkit.processing import parse, to_pixels
from vlkit.tiling import Box

if TYPE_CHECKING:
    from PIL.Image import Image

MOST = 24


def draw_worst(
    evaluation: Evaluation,
    source: Source,
    *,
    most: int = MOST,
    metric: str | None = None,
    title: str | None = None,
    font: str | Path | None = None,
) -> Image:
    """Sheet of the worst answers, with pictures, references and boxes.

    Boxes are drawn where a sample has one picture.

    Args:
        evaluation: what was measured.
        source: what it was measured on; gives the pictures once more.
        most: samples that are shown.
        metric: by which measure; None: by the first that a sample counts for.
        title: first line; None: how many samples went wrong.
        font: TrueType or OpenType file; None: Pillow's own, which has the letters of ASCII.

    Raises:
        InputError: if the measure was not taken, or the file is no font.
    """
    wrong = evaluation.worst(len(evaluation.results), metric=metric)
    shown = wrong[:most]
    worst = f", the worst {len(shown)} of them" if len(shown) < len(wrong) else ""
    title = title or f"{len(wrong)} of {len(evaluation.results)} samples not as the reference{worst}"
    return draw_failures([_failure(result, source) for result in shown], title=title, font=font)


def _failure(result: Result, source: Source) -> Failure:
    pictures = source.sample(result.index).images
    reference = result.references[0]
    measures = [f"{name} {ratio.part / ratio.whole:.2f}" for name, ratio in result.scores.items() if ratio.whole]

    def boxes(text: str) -> list[Box]:
        return [to_pixels(box, pictures[0].size) for item in parse(text).objects for box in item.boxes]

    single = len(pictures) == 1
    return Failure(
        pictures=pictures,
        origin=result.origin,
        question=result.question,
        reference=readable(reference) + (f" (or {len(result.references) - 1} more)" if result.references[1:] else ""),
        answer=readable(result.answer),
        measures=", ".join(measures),
        reference_boxes=boxes(reference) if single else (),
        answer_boxes=boxes(result.answer) if single else (),
    )


def readable(text: str) -> str:
    """Grounded text without its tags, if every object in it can be read; else the text as it is.

    Examples:
        >>> readable("<|ref|>a boat<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>")
        'a boat [[1, 2, 3, 4]]'
    """
    if parse(text).malformed:
        return text
    for tag, instead in (("<|ref|>", ""), ("<|/ref|>", " "), ("<|det|>", ""), ("<|/det|>", "")):
        text = text.replace(tag, instead)
    return text
