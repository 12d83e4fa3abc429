"""How well a model reads and finds words that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from vlkit.printed_text.answering import answer_all
from vlkit.printed_text.composing import PageConfig, compose
from vlkit.printed_text.page import Printed, render
from vlkit.printed_text.questions import READ, WHERE
from vlkit.printed_text.reading import word_box
from vlkit.printed_text.words import SHORTEST
from vlkit.processing.processor import Processor
from vlkit.tiling import Box
from vlkit.vlm import VLM


def held_out_pages(config: PageConfig, count: int, *, seed: int = 0) -> list[Printed]:
    """Pages with words of the other split."""
    other = config.replace(split="held_out", length=(SHORTEST, max(SHORTEST, config.length[1])))
    return [render(compose(other, Random(f"{seed} held out {number}"))) for number in range(count)]


def read_all(model: VLM, processor: Processor[Any], pages: Sequence[Printed]) -> list[str]:
    """What the model reads on each page."""
    return [answer.text for answer in answer_all(model, processor, [(READ, page.image) for page in pages])]


def asked_words(pages: Sequence[Printed]) -> list[tuple[str, Box]]:
    """A word of each page with its box: the first, the second, and so on around from page to page."""
    return [page.words[number % len(page.words)] for number, page in enumerate(pages)]


def find_one(model: VLM, processor: Processor[Any], pages: Sequence[Printed]) -> list[tuple[Box, Box | None]]:
    """Box of one word of each page, and where the model says it is."""
    answers = answer_all(model, processor, [(WHERE, page.image) for page in pages])
    return [
        (box, word_box(answer, word, page.image.size))
        for (word, box), answer, page in zip(asked_words(pages), answers, pages, strict=True)
    ]
