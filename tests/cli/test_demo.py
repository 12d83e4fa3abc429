"""`vlkit demo`: every step is reported, random weights are called that, and two runs agree."""

import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.cli.conftest import Run

STEPS = ("assemble", "tiling", "pixels", "vision", "projector", "layout", "prompt", "prefill", "decode")


def without_times(text: str) -> str:
    return re.sub(r" +[0-9.]+ ms", " ms", text)


def test_every_step_is_reported_and_the_picture_is_drawn(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run("demo")
    assert outcome.code == 0, outcome.err
    places = [outcome.out.index(f"  {step:<10}") for step in STEPS]
    assert places == sorted(places)
    assert "random weights: the text means nothing" in outcome.out
    for shape in ("[9, 3, 112, 112]", "[9, 14, 14, 64]", "[9, 7, 7, 96]", "[463, 96]", "[1, 488, 96]", "[1, 32]"):
        assert shape in outcome.out
    assert "vlkit layout PHOTO" in outcome.out
    with Image.open(tmp_path / "vlkit-demo.png") as drawn:
        assert drawn.width == 2400


def test_it_is_repeatable_and_leaves_the_process_as_it_was(run: Run, tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((60, 300)).save(tmp_path / "my photo.png")
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    arguments = ("demo", tmp_path / "my photo.png", "-o", tmp_path / "out.png", "--prompt", "How high?")
    first, second = run(*arguments), run(*arguments)
    assert first.code == 0, first.err
    assert without_times(first.out) == without_times(second.out)
    assert f"vlkit layout '{tmp_path / 'my photo.png'}'" in first.out
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_bad_input_is_refused_before_anything_is_built(run: Run, tmp_path: Path) -> None:
    for arguments in (["missing.jpg"], ["-o", "out.gif"], ["-o", str(tmp_path / "none" / "out.png")]):
        outcome = run("demo", *arguments)
        assert outcome.code == 1
        assert "assemble" not in outcome.out


def test_prompt_with_more_tags_than_the_one_picture_is_refused(run: Run, tmp_path: Path) -> None:
    outcome = run("demo", "-o", tmp_path / "out.png", "--prompt", "<image> and <image>")
    assert outcome.code == 1
    assert "2 <image> in the prompt for 1 pictures" in outcome.shown
