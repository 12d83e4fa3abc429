"""What a model reads on a picture, and where it finds a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vlkit.evaluation.text_metrics import anls
from vlkit.printed_text.answering import answer_all
from vlkit.printed_text.questions import READ, WHERE
from vlkit.processing.grounding import GroundedObject, parse, to_pixels

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlkit.printed_text.answer import Answer
    from vlkit.processing.processor import Processor
    from vlkit.tiling import Box
    from vlkit.vlm import VLM

LEAST_LIKENESS = 0.6
"""Similarity from which a word that was read is taken for the one that is looked for; see `anls`."""


def read(model: VLM, processor: Processor[Any], picture: Image) -> Answer:
    """All of the text on a picture.

    Args:
        model: trained on this task.
        processor: that of the model.
        picture: what to read.
    """
    return answer_all(model, processor, [(READ, picture)])[0]


def locate(model: VLM, processor: Processor[Any], picture: Image) -> Answer:
    """The words on a picture with their places, in the grounding format.

    Args:
        model: trained on this task.
        processor: that of the model.
        picture: where to look.
    """
    return answer_all(model, processor, [(WHERE, picture)])[0]


def find(model: VLM, processor: Processor[Any], picture: Image, word: str) -> tuple[Answer, Box | None]:
    """Where a word is: all words with their places, and the box of this one in pixels of the picture.

    There is no box if nothing like the word was read.

    Args:
        model: trained on this task.
        processor: that of the model.
        picture: where to look.
        word: what to look for.
    """
    answer = locate(model, processor, picture)
    return answer, word_box(answer, word, picture.size)


def found_word(answer: Answer, word: str) -> GroundedObject | None:
    """What an answer with places names that is most like a word; None if nothing is like it.

    Args:
        answer: of `locate`.
        word: that is looked for, in either case; of several that are as much like it the first counts.
    """
    objects = parse(answer.text).objects
    likeness = [anls(item.name.upper(), [word.upper()], threshold=LEAST_LIKENESS) for item in objects]
    return objects[likeness.index(max(likeness))] if any(likeness) else None


def word_box(answer: Answer, word: str, size: tuple[int, int]) -> Box | None:
    """Box of `found_word` in pixels of a picture of this width and height."""
    found = found_word(answer, word)
    return None if found is None else to_pixels(found.boxes[0], size)
