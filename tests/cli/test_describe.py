"""`vlkit describe`: the report of the library, as text and as JSON."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import vlkit
from tests.cli.conftest import Run
from vlkit.description import compare


def test_it_is_the_report_of_the_library(run: Run) -> None:
    outcome = run("describe", "deepseek-vl2-tiny", "--image-size", "1024x768", "--image-size", "300x300")
    right = vlkit.describe("deepseek-vl2-tiny", image_sizes=[(1024, 768), (300, 300)], prompt_tokens=64)
    assert outcome.out == f"{right}\n"


def test_options_arrive(run: Run, golden: Path) -> None:
    folder = golden / "a1_mla_greedy_2d_head"
    options = ("--prompt-tokens", "10", "--new-tokens", "5", "--dtype", "float32", "--cache", "offload", "--no-crop")
    outcome = run("describe", folder, "--image-size", "112x56", *options, "--json")
    right = vlkit.describe(
        folder,
        image_sizes=[(112, 56)],
        prompt_tokens=10,
        new_tokens=5,
        dtype=torch.float32,
        cache="offload",
        crop=False,
    )
    assert json.loads(outcome.out) == right.to_dict()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["mini", "--image-size", "1024"], "'1024' is not known"),
        (["mini", "--image-size", "1e3x5"], "for instance 1024x768"),
        (["minni"], "did you mean 'mini'?"),
        (["mini", "--cache", "ofload"], "did you mean 'offload'?"),
    ],
)
def test_what_is_wrong_is_said(run: Run, arguments: list[str], problem: str) -> None:
    outcome = run("describe", *arguments)
    assert outcome.code == 1
    assert problem in outcome.shown


def test_several_models_are_compared_and_drawn(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "bars.png"
    outcome = run("describe", "mini", "mini-dense", "--image-size", "100x60", "-o", picture)
    about = {name: vlkit.describe(name, image_sizes=[(100, 60)], prompt_tokens=64) for name in ("mini", "mini-dense")}
    assert outcome.out == f"{compare(about)}\ndrawn in {picture}\n"
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"
    found = json.loads(run("describe", "mini", "mini-dense", "--json").out)
    assert found["mini-dense"] == vlkit.describe("mini-dense", prompt_tokens=64).to_dict()


def test_bars_are_written_as_png_only(run: Run, tmp_path: Path) -> None:
    outcome = run("describe", "mini", "-o", tmp_path / "bars.pdf")
    assert (outcome.code, "is not a PNG file" in outcome.shown) == (1, True)
