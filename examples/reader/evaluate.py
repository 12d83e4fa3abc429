"""Measure the reader on words that it never saw: `python examples/reader/evaluate.py`, some minutes on a CPU.

It writes `results.json` and prints its tables; `tools/write_reader_page.py` puts them into the documentation.
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from reader_scores import believed_row, rows_of, score, sureness_rows, threshold_row
from reader_tables import accuracy_picture, results_text, sureness_text

import vlkit
from vlkit.checkpoint.hub import resolve_folder
from vlkit.evaluation.boxes import iou
from vlkit.evaluation.intervals import Ratio
from vlkit.evaluation.text_metrics import character_errors
from vlkit.files import write_json
from vlkit.printed_text.answer import LEAST_PLACE_PROBABILITY, LEAST_PROBABILITY, Answer
from vlkit.printed_text.answering import BATCH, Question, answer_all
from vlkit.printed_text.composing import PageConfig, compose
from vlkit.printed_text.held_out import asked_words, held_out_pages
from vlkit.printed_text.other_pictures import other_pictures
from vlkit.printed_text.page import Page, Printed, render
from vlkit.printed_text.questions import READ, WHERE
from vlkit.printed_text.reading import word_box
from vlkit.printed_text.words import SHORTEST
from vlkit.training import Recipe
from vlkit.vlm_config import VLMConfig

HERE = Path(__file__).parent
PICTURE = HERE.parents[1] / "docs" / "assets" / "reader-accuracy.png"
SEED = 1
"""Of all pictures here; those that are measured on while training have another."""
TRAINED, UNSEEN_FONTS = "trained fonts", ("manrope", "caladea")
LENGTHS, TRIES = 8, 400
"""Part of the samples that words of each length get, and how many pages are composed for each of them at most."""
OVERLAP = 0.5
"""Intersection over union from which a box is right."""
THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995)

Ask = Callable[[str, Sequence[Question]], list[Answer]]


def main() -> None:
    """Measure, write, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="vlkit-reader", help="name or folder")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"), help="computed in")
    parser.add_argument("--samples", type=int, default=1000, help="pictures of each kind")
    parser.add_argument("--batch-size", type=int, default=BATCH)
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml", help="says what pages look like")
    parser.add_argument("--output", type=Path, default=HERE / "results.json")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    given = parser.parse_args()
    model = vlkit.from_pretrained(given.model, dtype=getattr(torch, given.dtype))
    processor = vlkit.load_processor(given.model)

    def ask(name: str, questions: Sequence[Question]) -> list[Answer]:
        began, shown = time.monotonic(), sys.stderr.isatty()

        def told(done: int) -> None:
            if shown:
                print(f"\r{name}: {done} of {len(questions)}", end="", file=sys.stderr, flush=True)

        answers = answer_all(model, processor, questions, batch_size=given.batch_size, on_batch=told)
        taken = time.monotonic() - began
        print(f"{chr(13) * shown}{name}: {len(answers)} answers in {taken:.0f} s", file=sys.stderr, flush=True)
        return answers

    about = {
        "weights": hashlib.sha256((resolve_folder(given.model) / "model.safetensors").read_bytes()).hexdigest(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "computed_in": given.dtype,
        "samples": given.samples,
        "seed": SEED,
    }
    pages = measured_pages(Recipe.from_file(given.recipe).data.pages)
    results = about | measure(ask, model.config, pages, given.samples)
    write_json(given.output, results)
    print(results_text(results), sureness_text(results), sep="\n")
    given.picture.parent.mkdir(parents=True, exist_ok=True)
    accuracy_picture(results).save(given.picture, optimize=True)


def measured_pages(pages: PageConfig) -> PageConfig:
    """Settings of the pages that are measured: those of the training in the end, each format equally often."""
    return pages.replace(grids=0.0, formats=tuple(dict.fromkeys(pages.formats)))


def measure(ask: Ask, config: VLMConfig, pages: PageConfig, samples: int) -> dict[str, Any]:
    """All results.

    Args:
        ask: gives the answers to questions.
        config: of the model; its tile grids are told apart.
        pages: what pictures look like.
        samples: pictures of each kind.
    """
    shortest, longest = SHORTEST, max(SHORTEST, pages.length[1])
    words, sureness = {}, []
    for name, fonts in ((TRAINED, pages.fonts), *((font, (font,)) for font in UNSEEN_FONTS)):
        one = pages.replace(fonts=fonts, words_per_line=1, lines=1, length=(shortest, longest))
        printed = held_out_pages(one, samples, seed=SEED)
        answers = ask(f"one word, {name}", [(READ, page.image) for page in printed])
        by_length = pages_by_length(one, max(samples // LENGTHS, 1))
        of_length = ask(f"words of each length, {name}", [(READ, page.image) for page in by_length])
        words[name] = {
            "grids": rows_of(_grids(config, printed), _reading(printed, answers)),
            "lengths": rows_of([f"{len(page.text):2}" for page in by_length], _reading(by_length, of_length))[1:],
        }
        sureness += sureness_rows(f"one word, {name}", answers, _is_right(printed, answers))
    printed = held_out_pages(pages, samples, seed=SEED)
    read = ask("whole pages", [(READ, page.image) for page in printed])
    found = ask("places of words", [(WHERE, page.image) for page in printed])
    chosen = asked_words(printed)
    overlaps = [_overlap(answer, word, box, page) for answer, (word, box), page in zip(found, chosen, printed)]
    absent = [
        Ratio(word_box(answer, word, page.image.size) is not None, 1)
        for answer, page, (word, _) in zip(found, printed, chosen[1:] + chosen[:1])
        if word not in page.text.split()
    ]
    grids = _grids(config, printed)

    def placed(number: int) -> dict[str, Ratio]:
        return {"right": Ratio(overlaps[number] >= OVERLAP, 1), "overlap": Ratio(overlaps[number], 1)}

    pictures = other_pictures(pages, samples, seed=SEED)
    others = {kind: ask(kind, [(READ, picture) for picture in members]) for kind, members in pictures.items()}
    located = {
        kind: ask(f"places, {kind}", [(WHERE, picture) for picture in members]) for kind, members in pictures.items()
    }
    right = _is_right(printed, read)
    sureness += sureness_rows("whole pages", read, right)
    sureness += sureness_rows("place of a word", found, [overlap >= OVERLAP for overlap in overlaps])
    return {
        "words": words,
        "pages": rows_of(grids, _reading(printed, read)),
        "boxes": rows_of(grids, placed),
        "boxes_by_words": rows_of([str(len(page.words)) for page in printed], placed)[1:],
        "absent": {"samples": len(absent), "found": score(absent)},
        "sureness": {
            "threshold": LEAST_PROBABILITY,
            "threshold_of_places": LEAST_PLACE_PROBABILITY,
            "answers": sureness,
            "others": [believed_row(kind, others[kind], located[kind]) for kind in others],
        },
        "thresholds": [
            threshold_row(threshold, read, right, others) for threshold in sorted({*THRESHOLDS, LEAST_PROBABILITY})
        ],
    }


def pages_by_length(pages: PageConfig, count: int) -> list[Printed]:
    """So many pages of one word for each length, each such a page as the settings give; fewer if they hardly do."""
    shortest, longest = pages.length
    found: dict[int, list[Page]] = {length: [] for length in range(shortest, longest + 1)}
    for number in range(TRIES * count):
        page = compose(pages.replace(split="held_out"), Random(f"{SEED} by length {number}"))
        if len(found[len(page.text)]) < count:
            found[len(page.text)].append(page)
        if all(len(members) == count for members in found.values()):
            break
    return [render(page) for members in found.values() for page in members]


def _grids(config: VLMConfig, printed: Sequence[Printed]) -> list[str]:
    """Tile grid of each picture."""
    return [str(config.tiling(page.image.size).grid) for page in printed]


def _is_right(printed: Sequence[Printed], answers: Sequence[Answer]) -> list[bool]:
    return [answer.text == page.text for page, answer in zip(printed, answers, strict=True)]


def _reading(printed: Sequence[Printed], answers: Sequence[Answer]) -> Callable[[int], dict[str, Ratio]]:
    """What each page adds to the measures of reading."""

    def ratios(number: int) -> dict[str, Ratio]:
        text, answer = printed[number].text, answers[number].text
        return {"exact": Ratio(answer == text, 1), "errors": Ratio(*character_errors(answer, [text]))}

    return ratios


def _overlap(answer: Answer, word: str, box: Any, page: Printed) -> float:
    found = word_box(answer, word, page.image.size)
    return iou(found, box) if found else 0.0


if __name__ == "__main__":
    main()
