"""`vlkit compare`: the options, what is shown, and what is refused."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from vlkit.cli.compare import _factors
from vlkit.errors import ConfigError


def test_it_plans_trains_and_compares(run: Run, file: Path, tmp_path: Path) -> None:
    output = tmp_path / "study"
    outcome = run(
        "compare", file, "--vary", "layout=2D,1D", "--seeds", "2", "--steps", "3", "-o", output, "--metric",
        "exact_match", "--max-new-tokens", "2",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    for expected in (
        "2 variants x 2 seeds = 4 runs of 3 steps",
        "exact_match (higher is better)",
        "baseline",
        "eval_loss",
    ):
        assert expected in outcome.out
    assert "run 4 of 4: layout=1D, seed 4" in outcome.err
    again = run("compare", file, "--vary", "layout=2D,1D", "--seeds", "2", "--steps", "3", "-o", output, "--json")
    assert again.code == 0 and "done before" in again.err
    found = json.loads(again.out)
    assert [each["name"] for each in found["variants"]] == ["layout=2D", "layout=1D"]
    assert found == json.loads((output / "comparison.json").read_text())


def test_a_dry_run_tells_the_variants_and_makes_nothing(run: Run, file: Path, tmp_path: Path) -> None:
    outcome = run(
        "compare", file, "-v", "layout=2D,1D", "-v", "lr=1e-3,3e-3", "--one-at-a-time", "--dry-run",
        "-o", tmp_path / "x", "--set", "steps=5",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "3 variants x 3 seeds = 9 runs of 5 steps" in outcome.out and "layout=2D, lr=0.003" in outcome.out
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("vary", "problem"),
    [
        ("layuot=2D,1D", "did you mean 'layout'?"),
        ("layout=2D,3D", "1 of 2 variants cannot be trained"),
        ("layout", "nothing to vary"),
        ("lr=1e-3,fast", "optimizer.lr: Input should be a valid number"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(
    run: Run,
    file: Path,
    tmp_path: Path,
    vary: str,
    problem: str,
) -> None:
    outcome = run("compare", file, "--vary", vary, "-o", tmp_path / "study")
    assert outcome.code == 1 and problem in outcome.shown
    assert not (tmp_path / "study").exists()


def test_a_field_is_varied_once() -> None:
    with pytest.raises(ConfigError, match="varied once"):
        _factors(["lr=1", "lr=2"])
