"""`vlkit describe`: the report of the library, as text and as JSON."""

import json
from pathlib import Path

import pytest
import torch

import vlkit
from tests.cli.conftest import Run


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
