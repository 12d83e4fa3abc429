"""What a model reads on a picture, and where it finds a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vlkit.printed_text.answering import answer_all
from vlkit.printed_text.questions import READ, where
from vlkit.processing.grounding import parse, to_pixels

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlkit.printed_text.answer import Answer
    from vlkit.processing.processor import Processor
    from vlkit.tiling import Box
    from vlkit.vlm import VLM


def read(model: VLM, processor: Processor[Any], picture: Image) -> Answer:
    """All of the text on a picture.

    Args:
        model: trained on this task.
        processor: that of the model.
        picture: what to read.
    """
    return answer_all(model, processor, [(READ, picture)])[0]


def find(model: VLM, processor: Processor[Any], picture: Image, word: str) -> tuple[Answer, Box | None]:
    """Where a word is, in pixels of the picture; no box if the answer holds none.

    Args:
        model: trained on this task.
        processor: that of the model.
        picture: where to look.
        word: what to look for.
    """
    (answer,) = answer_all(model, processor, [(where(word), picture)])
    return answer, found_box(answer, picture)


def found_box(answer: Answer, picture: Image) -> Box | None:
    """The first box of an answer, in pixels of the picture that it is about."""
    objects = parse(answer.text).objects
    return to_pixels(objects[0].boxes[0], picture.size) if objects else None
