"""The reader in one command: its parts run in order, and what is done already is not done again."""

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.markdown import ROOT

MAKE = runpy.run_path(str(ROOT / "examples" / "reader" / "make.py"))


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that were run; each makes the folder that it is given, as the scripts do."""
    seen: list[list[str]] = []

    def run(command: list[str], *, check: bool, env: dict[str, str]) -> None:
        assert check and env["OMP_NUM_THREADS"] == "1"
        name = next(i for i, each in enumerate(command) if each.endswith(".py"))
        Path(command[name + 1]).mkdir(parents=True)
        seen.append(command[name:])

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(subprocess, "run", run)
    return seen


def make(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["make.py", *map(str, arguments)])
    MAKE["main"]()


def test_eyes_come_first_and_reading_goes_on_from_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, commands: list[list[str]]
) -> None:
    make(monkeypatch, tmp_path / "out", "--recipe", "r.toml", "--pictures", 64)
    (see, *seen), (train, *trained) = commands
    assert (Path(see).name, Path(train).name) == ("see.py", "train.py")
    assert seen[1:5] == ["--recipe", "r.toml", "--pictures", "64"]
    assert trained == [str(tmp_path / "out" / "run"), "--begin", str(tmp_path / "out" / "eyes"), "--recipe", "r.toml"]
    assert (tmp_path / "out" / "eyes").is_dir() and not Path(seen[0]).exists()


def test_the_same_command_goes_on_behind_what_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, commands: list[list[str]]
) -> None:
    (tmp_path / "eyes").mkdir()
    make(monkeypatch, tmp_path)
    assert [Path(command[0]).name for command in commands] == ["train.py"]


def test_a_part_that_fails_ends_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "see.py").write_text("raise SystemExit(3)\n")
    monkeypatch.setitem(MAKE["run"].__globals__, "HERE", tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        make(monkeypatch, tmp_path / "out", "--processes", 1)
    assert not (tmp_path / "out" / "eyes").exists()
