"""`vlkit generate`: what the library answers, streamed; and what cannot be answered is said before weights are read."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import vlkit
from tests.cli.conftest import Run
from vlkit.cli.generate import tagged
from vlkit.errors import InputError


def expected(checkpoint: Path, question: str, images: list[Path], **settings: Any) -> str:
    """Answer of the library."""
    model, processor = vlkit.from_pretrained(checkpoint), vlkit.DeepseekVLV2Processor.from_pretrained(checkpoint)
    turns = [{"role": "<|User|>", "content": question}, {"role": "<|Assistant|>", "content": ""}]
    return "".join(model.stream(processor.tokenizer, **processor(conversations=turns, images=images), **settings))


def test_answer_is_the_librarys(run: Run, checkpoint: Path, picture: Path) -> None:
    outcome = run("generate", "-m", checkpoint, "-i", picture, "-p", "What is it?", "--max-new-tokens", "12")
    assert outcome.code == 0, outcome.err
    assert outcome.out == expected(checkpoint, "<image>\nWhat is it?", [picture], max_new_tokens=12) + "\n"
    assert outcome.err == ""


def test_settings_arrive(run: Run, checkpoint: Path, picture: Path) -> None:
    options = ("--temperature", "1.5", "--top-k", "50", "--top-p", "0.9", "--repetition-penalty", "1.2", "--seed", "3")
    more = ("--no-repeat-ngram-size", "2", "--chunk-size", "7", "--cache", "offload", "--dtype", "float32")
    command = ("generate", "-m", checkpoint, "-i", picture, "-i", picture, "-p", "A <image> or <image>?")
    outcome = run(*command, "--max-new-tokens", "9", *options, *more, "--device", "cpu")
    assert outcome.code == 0, outcome.err
    sampling = {"temperature": 1.5, "top_k": 50, "top_p": 0.9, "repetition_penalty": 1.2, "seed": 3}
    sampling |= {"no_repeat_ngram_size": 2, "max_new_tokens": 9}
    assert outcome.out == expected(checkpoint, "A <image> or <image>?", [picture] * 2, **sampling) + "\n"


def test_json_counts_tokens(run: Run, checkpoint: Path, picture: Path) -> None:
    outcome = run("generate", "-m", checkpoint, "-i", picture, "-p", "Why?", "--max-new-tokens", "5", "--json")
    report = json.loads(outcome.out)
    assert report["text"] == expected(checkpoint, "<image>\nWhy?", [picture], max_new_tokens=5)
    assert 1 <= report["new_tokens"] <= 5
    image_tokens = vlkit.DeepseekVLV2Config.from_hf(checkpoint).image_tokens((150, 70))
    assert report["image_tokens"] == [image_tokens]
    assert report["prompt_tokens"] == 1 + image_tokens + len(b": \nWhy?\n\n:") + 2


def test_prompt_can_come_from_standard_input_and_stop_ends_the_answer(run: Run, checkpoint: Path) -> None:
    command = ("generate", "-m", checkpoint, "-p", "-", "--system", "Be brief.", "--max-new-tokens", "20")
    whole = run(*command, stdin="Hello").out.removesuffix("\n")
    assert len(whole) > 2
    cut = run(*command, "--stop", whole[2], stdin="Hello").out.removesuffix("\n")
    assert cut == whole[: whole.index(whole[2])]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--max-new-tokens", "5000"], "5000 new ones are asked for"),
        (["--top-p", "1.5"], "top_p"),
        (["--cache", "disc"], "'disc' is not one of the cache_policies"),
        (["--device", "gpu9"], "device 'gpu9' cannot be used"),
        (["--image", "missing.png"], "'missing.png' is not a file"),
        (["--prompt", "<image> <image>"], "2 <image> in the prompt for 0 pictures"),
    ],
)
def test_errors_come_before_weights_are_read(
    run: Run, checkpoint: Path, tmp_path: Path, options: list[str], problem: str
) -> None:
    shutil.copytree(checkpoint, tmp_path / "no weights", ignore=shutil.ignore_patterns("*.safetensors"))
    outcome = run("generate", "-m", tmp_path / "no weights", "-p", "Hello", *options)
    assert outcome.code == 1
    assert problem in outcome.shown
    assert "safetensors" not in outcome.shown


def test_missing_files_are_named(run: Run, golden: Path, tmp_path: Path) -> None:
    outcome = run("generate", "-m", golden / "a2_mha_greedy_2d_head", "-p", "Hello")
    assert outcome.code == 1
    assert "processor_config.json" in outcome.shown.replace(" ", "")
    outcome = run("generate", "-m", tmp_path / "nothing", "-p", "Hello")
    assert outcome.code == 1
    assert "there is no folder" in outcome.shown


def test_tags_go_in_front_unless_the_prompt_has_its_own() -> None:
    assert tagged("Why?", "<image>", pictures=2) == "<image>\n<image>\nWhy?"
    assert tagged("Why?", "<image>", pictures=0) == "Why?"
    assert tagged("Why <image>?", "<image>", pictures=1) == "Why <image>?"
    with pytest.raises(InputError, match="1 <image> in the prompt for 2 pictures"):
        tagged("Why <image>?", "<image>", pictures=2)
