"""The commands with DeepSeek-VL: a small one in a folder, and its presets."""

import json
from pathlib import Path

import pytest

import vlkit
from tests.cli.conftest import Run

TAG = "<image_placeholder>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint with its processor."""
    folder, model = tmp_path_factory.mktemp("mini-vl"), vlkit.build("mini-vl")
    vlkit.save_pretrained(model, folder, processor=vlkit.DeepseekVLProcessor.for_model(model.config))
    return folder


def test_generate_answers_as_the_library(run: Run, folder: Path, picture: Path) -> None:
    outcome = run("generate", "-m", folder, "-i", picture, "-p", "What is it?", "--max-new-tokens", "4", "--json")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    model, processor = vlkit.from_pretrained(folder), vlkit.load_processor(folder)
    asked = [{"role": "User", "content": f"{TAG}\nWhat is it?"}, {"role": "Assistant", "content": ""}]
    batch = processor(conversations=asked, images=[picture])
    assert report["text"] == "".join(model.stream(processor.tokenizer, **batch, max_new_tokens=4))
    assert (report["image_tokens"], report["prompt_tokens"]) == ([16], batch.input_ids.shape[1])


def test_chat_goes_on(run: Run, folder: Path, picture: Path) -> None:
    lines = f"Hi\n/image {picture}\nWhat is it?\nAnd now?\n"
    outcome = run("chat", "-m", folder, "--max-new-tokens", "3", "--system", "Be brief.", stdin=lines)
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""


def test_describe_tells_the_larger_model(run: Run) -> None:
    outcome = run("describe", "deepseek-vl-7b", "--image-size", "1024x768")
    assert outcome.code == 0, outcome.err
    assert "7,343,990,017" in outcome.out
    assert "hybrid 1024x1024 -> low_high_hybrid_split_mlp_gelu 24x24 -> plain -> deepseek_v2" in outcome.out


def test_layout_draws_one_view(run: Run, picture: Path, tmp_path: Path) -> None:
    outcome = run("layout", picture, "--config", "deepseek-vl-1.3b", "-o", tmp_path / "out.png")
    assert outcome.code == 0, outcome.err
    assert "150x70 pixels, fitted to 384x384, not cut, a global view of 24x24, 576 tokens in all" in outcome.out
