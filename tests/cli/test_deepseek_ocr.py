"""The commands with another family: a small DeepSeek-OCR in a folder, and its preset."""

import json
from pathlib import Path

import pytest
from PIL import Image

import vlkit
from tests.cli.conftest import Run
from vlkit.models.deepseek_ocr.processor import DeepseekOCRProcessor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint in the official layout with its processor."""
    folder = tmp_path_factory.mktemp("mini-ocr")
    model = vlkit.build("mini-ocr")
    vlkit.save_pretrained(model, folder, processor=DeepseekOCRProcessor.for_model(vlkit.presets["mini-ocr"]))
    return folder


def test_generate_answers_as_the_library(run: Run, folder: Path, picture: Path) -> None:
    outcome = run("generate", "-m", folder, "-i", picture, "-p", "Free OCR.", "--max-new-tokens", "4", "--json")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    model, processor = vlkit.from_pretrained(folder), vlkit.load_processor(folder)
    batch = processor(prompt="<image>\nFree OCR.", images=[picture])
    assert report["text"] == "".join(model.stream(processor.tokenizer, **batch, max_new_tokens=4))
    assert report["image_tokens"] == [21]
    assert report["prompt_tokens"] == 1 + 21 + len("\nFree OCR.")


def test_chat_goes_on(run: Run, folder: Path, picture: Path) -> None:
    lines = f"/image {picture}\nFree OCR.\nAnd in English?\n"
    outcome = run("chat", "-m", folder, "--max-new-tokens", "3", stdin=lines)
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""


def test_describe_tells_the_views_of_two_sizes(run: Run) -> None:
    outcome = run("describe", "deepseek-ocr", "--image-size", "1024x768")
    assert outcome.code == 0, outcome.err
    assert "3,336,106,240" in outcome.out
    (line,) = (line for line in outcome.out.splitlines() if "1920x1280" in line)
    assert line.split()[:5] == ["1024x768", "1920x1280", "1.88", "2x3", "893"]


def test_layout_draws_tiles_first(run: Run, tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((1000, 620)).save(tmp_path / "photo.jpg")
    outcome = run("layout", tmp_path / "photo.jpg", "--config", "deepseek-ocr", "-o", tmp_path / "out.png")
    assert outcome.code == 0, outcome.err
    assert "2x3 tiles of 10x10 tokens each and a global view of 16x16, 893 tokens in all" in outcome.out
    with Image.open(tmp_path / "out.png") as drawn:
        assert drawn.width == 2400
