"""The task as a source of samples: read what is printed, and say where each word is."""

from __future__ import annotations

from random import Random
from typing import Annotated, Any, Literal

from pydantic import Field

from vlkit.config import Count
from vlkit.printed_text.composing import PageConfig, compose, eased
from vlkit.printed_text.page import Printed, render
from vlkit.printed_text.questions import READ, WHERE
from vlkit.processing.grounding import GroundedObject, from_pixels
from vlkit.processing.grounding import render as grounded
from vlkit.training.data import SourceConfig, sources
from vlkit.training.sample import IMAGE_TAG, Mark, Sample

STEPS = 16
"""Grades from the easiest pages to those of the settings."""
KEPT_EASY = 0.3
"""Share of samples that are drawn easier than their place in the growth asks for."""
LOCATING_FROM = 0.5
"""Part of the growth before which no place is asked for, since nothing can be found by those who cannot read."""

Share = Annotated[float, Field(ge=0, le=1)]


class PrintedTextConfig(SourceConfig):
    """Pictures of printed text with questions; made on demand, without end."""

    type: Literal["printed_text"] = "printed_text"
    """Tag of the source."""
    pages: PageConfig = PageConfig()
    """What the pictures look like."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Decides every picture together with its number."""
    growth: int = Field(default=0, ge=0, le=2**40)
    """Samples over which pages grow from single large characters to what `pages` says; 0: they are so at once."""
    same_format: Count = 1
    """So many samples in a row share a format, so that batches of that size need little padding."""
    questions: Literal["both", "read", "locate"] = "both"
    """Whether the text is asked for, the words with their places, or both in one conversation in either order."""
    marked: Count | None = None
    """Samples whose image tokens learn the characters that they show, which makes reading fast to learn; None: all."""
    locating: Share = 0.6
    """Share of the conversations with `both` in which places are asked for too."""


class PrintedText:
    """Sample number i is always the same.

    Args:
        config: of the task.
    """

    count: None = None

    def __init__(self, config: PrintedTextConfig) -> None:
        self.config = config
        self._grades = [eased(config.pages, grade / (STEPS - 1)) for grade in range(STEPS)]

    def printed(self, index: int) -> Printed:
        """Picture number `index` and its words."""
        return self._draw(index)[0]

    def sample(self, index: int) -> Sample:
        printed, random, growth = self._draw(index)
        turns = []
        if self.config.questions != "locate":
            turns.append((READ, printed.text))
        wanted = self.config.questions == "locate" or (
            self.config.questions == "both" and growth >= LOCATING_FROM and random.random() < self.config.locating
        )
        if wanted:
            turns.insert(random.randrange(len(turns) + 1), (WHERE, places(printed)))
        marks = tuple(Mark(*character, size=printed.font_size) for character in printed.characters)
        marked = self.config.marked is None or index < self.config.marked
        origin = f"printed text, sample {index}"
        return Sample(_conversation(turns), (printed.image,), origin, (marks,) if marked else ())

    def _draw(self, index: int) -> tuple[Printed, Random, float]:
        """Picture, the chance that is left for the questions, and how far pages have grown."""
        config = self.config
        together = Random(f"{config.seed} format {index // config.same_format}")
        random = Random(f"{config.seed} sample {index}")
        growth = min(index / config.growth, 1.0) if config.growth else 1.0
        if config.growth and together.random() < KEPT_EASY:
            growth *= together.random()
        pages = self._grades[int(growth * (STEPS - 1))]
        return render(compose(pages, random, together.choice(pages.formats))), random, growth


def places(printed: Printed) -> str:
    """The right answer to the question for places."""
    return grounded(GroundedObject(word, (from_pixels(box, printed.image.size),)) for word, box in printed.words)


def _conversation(turns: list[tuple[str, str]]) -> tuple[dict[str, Any], ...]:
    """Turns as the official conversations, the picture before the first question."""
    messages = []
    for number, (question, answer) in enumerate(turns):
        tag = "" if number else f"{IMAGE_TAG}\n"
        messages.append({"role": "<|User|>", "content": tag + question})
        messages.append({"role": "<|Assistant|>", "content": answer})
    return tuple(messages)


@sources.register(PrintedTextConfig)
def open_printed_text(config: PrintedTextConfig) -> PrintedText:
    """Source of a config."""
    return PrintedText(config)
