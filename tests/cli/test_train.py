"""`vlkit train`: the recipe from a file, other values on top, and what is shown."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_it_trains_shows_what_trains_and_tells_where_the_model_is(run: Run, file: Path, tmp_path: Path) -> None:
    outcome = run("train", file, "--output", tmp_path / "run", "--set", "parts.encoder.train=false")
    assert outcome.code == 0, outcome.err
    assert "encoder" in outcome.out and "frozen" in outcome.out
    assert "4 steps, " in outcome.out and "on held-out samples" in outcome.out
    assert f"model in {tmp_path / 'run' / 'model'}" in outcome.out
    assert "step 2 of 4: loss " in outcome.err and "tokens/s" in outcome.err
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()


def test_a_run_is_resumed_only_if_asked_for(run: Run, file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert "holds no run" in run("train", file, "-o", folder, "--resume").shown
    first = run("train", file, "-o", folder)
    assert first.code == 0
    refused = run("train", file, "-o", folder)
    assert (refused.code, "a run is not written over" in refused.shown) == (1, True)
    again = run("train", file, "-o", folder, "--resume")
    assert again.code == 0
    assert (
        again.out.splitlines()[-2:]
        == first.out.splitlines()[-2:]
        == run("train", folder, "--resume").out.splitlines()[-2:]
    )
    other = run("train", file, "-o", folder, "--resume", "--set", "optimizer.lr=0.1")
    assert "optimizer.lr was 0.02, is 0.1" in other.shown


def test_a_dry_run_tells_and_makes_nothing(run: Run, file: Path, tmp_path: Path) -> None:
    outcome = run("train", file, "-o", tmp_path / "run", "--dry-run")
    assert outcome.code == 0
    for expected in ("decoder", "4 of one batch of 4 samples", "1.78 times all 9", "memory"):
        assert expected in outcome.out
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("stepps=3", "did you mean 'steps'?"),
        ("model.layout=3D", "layout"),
        ("steps", "key=value"),
        ("data.file=nowhere.jsonl", "nowhere.jsonl"),
        ("tokenizer=nowhere", "nowhere"),
    ],
)
def test_what_is_wrong_is_said(run: Run, file: Path, tmp_path: Path, setting: str, problem: str) -> None:
    outcome = run("train", file, "-o", tmp_path / "run", "--set", setting)
    assert outcome.code == 1
    assert problem in outcome.shown
    assert not (tmp_path / "run").exists()
