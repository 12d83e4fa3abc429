"""`vlkit bench`: structure, JSON, picture and refusals; times are not looked at."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import vlkit
from tests.cli.conftest import Run
from vlkit.bench import STAGES, Floor, Report
from vlkit.cli import bench as command
from vlkit.notation import Size

SHORT = ("--image-size", "60x40", "--prompt-tokens", "4", "--new-tokens", "3", "--runs", "1", "--warmup", "0")


@pytest.fixture(autouse=True)
def _quick_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A floor without measuring it."""
    monkeypatch.setattr("vlkit.bench.measure_floor", lambda _, dtype: Floor(1e10, 1e12, str(dtype)[6:]))


def test_it_is_a_table_of_all_stages(run: Run) -> None:
    outcome = run("bench", "mini", *SHORT)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["mini,", "bfloat16"]
    assert [line.split()[0] for line in lines[2:8]] == list(STAGES)
    assert "first token" in outcome.out and "TFLOP/s" in outcome.out


def test_json_is_the_report(run: Run) -> None:
    report = Report.from_dict(json.loads(run("bench", "mini", *SHORT, "--json").out))
    request = report.request
    assert (request.image_sizes, request.prompt_tokens, request.new_tokens) == ((Size(60, 40),), 4, 3)
    assert report.floor == Floor(1e10, 1e12, "bfloat16")
    assert all(stage.seconds.count == 1 for stage in report.stages)


def test_options_arrive(run: Run) -> None:
    options = ("--cache", "offload", "--chunk-size", "3", "--dtype", "float32", "--device", "cpu", "--no-floor")
    text = ("--no-image", "--prompt-tokens", "8", "--new-tokens", "2", "--runs", "2", "--warmup", "0", "--json")
    report = Report.from_dict(json.loads(run("bench", "mini-dense", *options, *text).out))
    request = report.request
    assert (request.cache, request.chunk_size, request.image_sizes) == ("offload", 3, ())
    assert (report.dtype, report.floor, report.prompt_positions) == ("float32", None, 8)
    assert [(stage.name, stage.seconds.count) for stage in report.stages] == [("prefill", 2), ("decode", 2)]


def test_a_folder_with_weights_is_loaded_and_keeps_its_type(
    run: Run, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[vlkit.VLM] = []
    build = command._build

    def spy(*given: Any) -> vlkit.VLM:
        loaded.append(build(*given))
        return loaded[-1]

    monkeypatch.setattr(command, "_build", spy)
    report = Report.from_dict(json.loads(run("bench", checkpoint, *SHORT, "--json").out))
    assert report.dtype == "float32"
    state = vlkit.from_pretrained(checkpoint).state_dict()
    assert all(state[name].equal(tensor) for name, tensor in loaded[0].state_dict().items())


def test_stages_are_drawn(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "bars.png"
    outcome = run("bench", "mini", *SHORT, "-o", picture)
    assert outcome.out.splitlines()[-1] == f"drawn in {picture}"
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["minni"], "did you mean 'mini'?"),
        (["mini", "--image-size", "big"], "'big' is not known"),
        (["mini", "--new-tokens", "5000"], "max_position_embeddings"),
        (["mini", "--cache", "ofload"], "did you mean 'offload'?"),
        (["mini", "--device", "abacus"], "'abacus' cannot be used"),
        (["mini", "--no-image", "--prompt-tokens", "0"], "a prompt has at least one token"),
        (["mini", "-o", "bars.pdf"], "is not a PNG file"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_built(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], problem: str
) -> None:
    def build(*_: Any) -> None:
        raise AssertionError("nothing is built")

    monkeypatch.setattr(command, "_build", build)
    outcome = run("bench", *arguments)
    assert (outcome.code, problem in outcome.shown) == (1, True)


def test_a_model_beyond_the_memory_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlkit.bench.models.memory_of", lambda _: 2**30)
    outcome = run("bench", "deepseek-vl2")
    assert (outcome.code, "has 1.00 GiB" in outcome.shown) == (1, True)
