"""Whose folder it is: a run goes on with its own recipe, and nothing else is written over."""

from pathlib import Path
from typing import Any

import pytest

from tests.training.runs import recipe
from vlkit.errors import ConfigError, TrainingError
from vlkit.training import Recipe, RunFolder


@pytest.fixture
def begun(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.begin(recipe())
    return folder


def test_the_recipe_is_written_as_it_runs(begun: RunFolder) -> None:
    assert Recipe.from_file(begun.recipe) == recipe()


def test_new_and_empty_folders_are_taken(tmp_path: Path) -> None:
    RunFolder(tmp_path).require_fit(recipe(), "auto")
    RunFolder(tmp_path / "new").require_fit(recipe(), False)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("resume", ["auto", True])
def test_a_run_goes_on_and_may_save_at_other_times(begun: RunFolder, resume: Any) -> None:
    begun.require_fit(recipe(), resume)
    begun.require_fit(recipe(keep=7, log_every=1, save_every=2), resume)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"optimizer": {"lr": 0.5}}, "optimizer.lr was 0.02, is 0.5"),
        ({"seed": 4}, "seed was 3, is 4"),
        ({"parts": {"encoder": {"train": False}}}, "parts.encoder"),
    ],
)
def test_another_run_is_refused_with_what_differs(begun: RunFolder, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(TrainingError, match=problem):
        begun.require_fit(recipe(**fields), "auto")


def test_a_run_is_not_written_over(begun: RunFolder) -> None:
    with pytest.raises(TrainingError, match="holds a run"):
        begun.require_fit(recipe(), False)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no run"):
        RunFolder(tmp_path).require_fit(recipe(), True)
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(TrainingError, match="files that are no run"):
        RunFolder(tmp_path).require_fit(recipe(), "auto")
    with pytest.raises(TrainingError, match="is a file"):
        RunFolder(tmp_path / "thesis.tex").require_fit(recipe(), "auto")


def test_a_recipe_that_toml_cannot_say_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(ConfigError, match="None in a list"):
        folder.begin(recipe(model={"a": {"b": [None]}}))
    assert not folder.recipe.exists()
