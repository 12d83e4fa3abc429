"""How well a model reads and finds words that it was not trained on."""

from __future__ import annotations

from random import Random
from typing import Any

from vlkit.printed_text.composing import PageConfig, compose
from vlkit.printed_text.page import Printed, render
from vlkit.printed_text.questions import READ, where
from vlkit.processing.grounding import parse, to_pixels
from vlkit.processing.processor import Processor
from vlkit.tiling import Box
from vlkit.vlm import VLM

TOKENS = 64
BATCH = 50


def held_out_pages(config: PageConfig, count: int, *, seed: int = 0) -> list[Printed]:
    """Pages with words of the other split."""
    other = config.replace(split="held_out", length=(3, max(3, config.length[1])))
    return [render(compose(other, Random(f"{seed} held out {number}"))) for number in range(count)]


def ask(model: VLM, processor: Processor[Any], questions: list[tuple[str, Any]]) -> list[str]:
    """Answers to questions, each about one picture."""
    answers = []
    for start in range(0, len(questions), BATCH):
        asked = questions[start : start + BATCH]
        conversations = [
            [{"role": "<|User|>", "content": f"<image>\n{text}"}, {"role": "<|Assistant|>", "content": ""}]
            for text, _ in asked
        ]
        batch = processor(conversations=conversations, images=[[image] for _, image in asked])
        for row in model.generate(**batch, max_new_tokens=TOKENS):
            answers.append(processor.decode(row, skip_special_tokens=False).split("<｜end▁of▁sentence｜>")[0].strip())
    return answers


def read_all(model: VLM, processor: Processor[Any], pages: list[Printed]) -> list[str]:
    """What the model reads on each page."""
    return ask(model, processor, [(READ, page.image) for page in pages])


def find_one(model: VLM, processor: Processor[Any], pages: list[Printed]) -> list[tuple[Box, Box | None]]:
    """Box of one word of each page, and where the model says it is."""
    chosen = [page.words[number % len(page.words)] for number, page in enumerate(pages)]
    answers = ask(model, processor, [(where(word), page.image) for (word, _), page in zip(chosen, pages)])
    found = [parse(answer).objects for answer in answers]
    return [
        (box, to_pixels(objects[0].boxes[0], page.image.size) if objects else None)
        for (_, box), objects, page in zip(chosen, found, pages)
    ]
