"""The reader that comes with vlkit: what is in its folder, and how well it reads, finds, and doubts."""

import hashlib
import json
from importlib.resources import as_file, files
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import vlkit
from tests.markdown import ROOT
from vlkit.evaluation.boxes import iou
from vlkit.evaluation.text_metrics import character_error_rate
from vlkit.printed_text.answer import Answer
from vlkit.printed_text.answering import answer_all
from vlkit.printed_text.composing import PageConfig
from vlkit.printed_text.held_out import find_one, held_out_pages
from vlkit.printed_text.other_pictures import photo_crop
from vlkit.printed_text.page import Printed
from vlkit.printed_text.questions import READ
from vlkit.printed_text.source import PrintedTextConfig
from vlkit.training import Recipe
from vlkit.training.ingredients import config_of

# What the shipped weights have to reach on 150 pictures each; examples/reader/results.json says what they do reach.
LEAST_WORDS_EXACT = 0.92
LEAST_PAGES_EXACT = 0.89
MOST_CHARACTERS_WRONG = 0.03
LEAST_BOXES = 0.95
LEAST_BOXES_AMONG_OTHERS = 0.85
LEAST_BELIEVED = 0.85
LEAST_RIGHT_AMONG_BELIEVED = 0.9
MOST_CROPS_BELIEVED = 0.1

PICTURES, SEED, OVERLAP = 150, 3, 0.5
MOST_BYTES = 8_000_000
NAMES = {
    "config.json",
    "model.safetensors",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
}
EXAMPLE = ROOT / "examples" / "reader"
Reader = tuple[Any, Any]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return vlkit.from_pretrained("vlkit-reader", dtype=torch.float32), vlkit.load_processor("vlkit-reader")


@pytest.fixture(scope="module")
def folder() -> Path:
    with as_file(files("vlkit") / "assets" / "vlkit-reader") as found:
        return found


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe.from_file(EXAMPLE / "recipe.toml")


@pytest.fixture(scope="module")
def settings(recipe: Recipe) -> PageConfig:
    assert isinstance(recipe.data, PrintedTextConfig)
    return recipe.data.pages


@pytest.fixture(scope="module")
def pages(settings: PageConfig) -> list[Printed]:
    return held_out_pages(settings, PICTURES, seed=SEED)


@pytest.fixture(scope="module")
def read(reader: Reader, pages: list[Printed]) -> list[Answer]:
    return answer_all(*reader, [(READ, page.image) for page in pages])


def exact(answers: list[Answer], pages: list[Printed]) -> float:
    return sum(answer.text == page.text for answer, page in zip(answers, pages, strict=True)) / len(pages)


def test_single_words_that_it_never_saw_are_read(reader: Reader, settings: PageConfig) -> None:
    words = held_out_pages(settings.replace(words_per_line=1, lines=1), PICTURES, seed=SEED)
    assert exact(answer_all(*reader, [(READ, word.image) for word in words]), words) >= LEAST_WORDS_EXACT


def test_pages_are_read(read: list[Answer], pages: list[Printed]) -> None:
    assert exact(read, pages) >= LEAST_PAGES_EXACT
    wrong = character_error_rate([answer.text for answer in read], [[page.text] for page in pages])
    assert wrong <= MOST_CHARACTERS_WRONG


def test_words_are_found_among_others_too(reader: Reader, pages: list[Printed]) -> None:
    found = find_one(*reader, pages)
    right = [box is not None and iou(box, wanted) >= OVERLAP for wanted, box in found]
    assert sum(right) >= LEAST_BOXES * len(pages)
    among = [good for good, page in zip(right, pages, strict=True) if len(page.words) > 1]
    assert sum(among) >= LEAST_BOXES_AMONG_OTHERS * len(among) > 0


def test_what_is_believed_is_mostly_right(read: list[Answer], pages: list[Printed]) -> None:
    right = [answer.text == page.text for answer, page in zip(read, pages, strict=True) if answer.believable]
    assert len(right) >= LEAST_BELIEVED * len(pages)
    assert sum(right) >= LEAST_RIGHT_AMONG_BELIEVED * len(right)


def test_it_is_unsure_of_pictures_without_text(reader: Reader, settings: PageConfig) -> None:
    crops = [photo_crop(settings, Random(f"{SEED} {number}")) for number in range(PICTURES)]
    answers = answer_all(*reader, [(READ, crop) for crop in crops])
    assert sum(answer.believable for answer in answers) <= MOST_CROPS_BELIEVED * PICTURES


def test_it_is_a_whole_small_folder_in_sixteen_bits(folder: Path) -> None:
    assert {file.name for file in folder.iterdir()} == NAMES
    assert sum(file.stat().st_size for file in folder.iterdir()) <= MOST_BYTES
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["vlkit"]["model_type"] == "deepseek_vl_v2"
    weights = load_file(folder / "model.safetensors")
    assert {values.dtype for values in weights.values()} in ({torch.bfloat16}, {torch.float16})
    assert {name.partition(".")[0] for name in weights} == {"encoder", "projector", "layout", "decoder"}


def test_the_folder_is_all_that_it_takes(folder: Path, reader: Reader, tmp_path: Path) -> None:
    model, processor = reader
    again = vlkit.from_pretrained(folder, dtype=torch.float32)
    assert all(torch.equal(again.state_dict()[name], values) for name, values in model.state_dict().items())
    vlkit.save_pretrained(vlkit.from_pretrained(folder), tmp_path, processor=processor)
    one, other = (load_file(place / "model.safetensors") for place in (folder, tmp_path))
    assert set(one) == set(other) and all(torch.equal(values, other[name]) for name, values in one.items())


def test_the_recipe_makes_a_model_of_the_same_config(recipe: Recipe, reader: Reader, settings: PageConfig) -> None:
    model, _ = reader
    wanted = config_of(recipe)
    assert wanted == model.config
    assert set(settings.formats) <= {tuple(size) for size in wanted.candidate_resolutions}


def test_what_is_told_of_it_was_measured_with_these_weights(folder: Path) -> None:
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    for name in ("results.json", "shipped.json"):
        told = json.loads((EXAMPLE / name).read_text(encoding="utf-8"))
        assert told["weights"] == weights, f"{name} is of other weights: run examples/reader/evaluate.py again"
