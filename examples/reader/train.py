"""Train a small model to read printed text: `python examples/reader/train.py OUTPUT`; a stopped run goes on.

Beside `vlkit train examples/reader/recipe.toml` it sets three switches of PyTorch that make such small models about
twice as fast on a CPU, and measures on the way how well the model reads and finds words that it never saw.
"""

import argparse
import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from vlkit import from_pretrained
from vlkit.evaluation.boxes import iou
from vlkit.evaluation.text_metrics import character_error_rate
from vlkit.printed_text.held_out import find_one, held_out_pages, read_all
from vlkit.printed_text.source import PrintedTextConfig
from vlkit.training import Recipe, train
from vlkit.training.ingredients import make_model, make_processor
from vlkit.vlm import VLM

HERE = Path(__file__).parent


def main() -> None:
    """Train, or go on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml")
    parser.add_argument("--begin", help="checkpoint to begin from; without it, weights are fresh")
    parser.add_argument("--pages", type=int, default=200, help="pages of each measurement on the way")
    given = parser.parse_args()
    recipe = Recipe.from_file(given.recipe)
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    model = from_pretrained(given.begin, dtype=torch.float32) if given.begin else make_model(recipe)
    processor = make_processor(recipe, model.config)
    model.encoder.compile(dynamic=True)
    assert isinstance(recipe.data, PrintedTextConfig)
    pages = recipe.data.pages
    one_word = held_out_pages(pages.replace(words_per_line=1, lines=1), given.pages)
    all_words = held_out_pages(pages, given.pages)
    began = time.time()

    def measure(current: VLM, step: int) -> Mapping[str, float]:
        row = {}
        for name, pages in (("word", one_word), ("page", all_words)):
            answers, texts = read_all(current, processor, pages), [page.text for page in pages]
            row[f"{name}_exact"] = sum(map(str.__eq__, answers, texts)) / len(pages)
            row[f"{name}_cer"] = character_error_rate(answers, [[text] for text in texts])
        found = find_one(current, processor, all_words)
        row["boxes"] = sum(box is not None and iou(box, wanted) >= 0.5 for wanted, box in found) / len(found)
        print(f"{time.strftime('%H:%M:%S')} {time.time() - began:.0f} s, step {step}: {row}", flush=True)
        return row

    with sdpa_kernel(SDPBackend.MATH):
        train(
            recipe.replace(model=None, tokenizer=None),
            output=given.output,
            model=model,
            processor=processor,
            evaluate=measure,
            on_progress=report,
        )


def report(progress) -> None:
    """One line per row of the metrics."""
    row = progress.row
    if row is not None and os.environ.get("RANK", "0") == "0":
        left = f"{progress.seconds_left / 60:.0f} min left"
        print(f"step {progress.step}, loss {row['loss']:.4f}, {row['samples']} samples, {left}", flush=True)


if __name__ == "__main__":
    main()
