"""`vlkit check`: the laws of a part on the screen and as data, and its exit status."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from vlkit.projectors import projectors

BROKEN = """
from typing import Literal

from torch import Tensor, nn

from vlkit.projectors import Projector, ProjectorConfig, projectors


class DropsConfig(ProjectorConfig):
    type: Literal["drops"] = "drops"
    side: int = 1


@projectors.register(DropsConfig, replace=True)
class Drops(Projector):
    def __init__(self, config: DropsConfig, *, in_dim: int, out_dim: int) -> None:
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.up = nn.Linear(in_dim, out_dim)

    def forward(self, x_NYXW: Tensor) -> Tensor:
        self.require_width(x_NYXW)
        return self.up(x_NYXW[:, : max(1, x_NYXW.shape[1] - self.config.side)])
"""


@pytest.fixture
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "drops.py").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "drops", raising=False)
    with projectors.scratch():
        yield


@pytest.mark.usefixtures("_module")
def test_a_broken_law_is_told_with_what_is_likely_and_ends_with_status_1(run: Run) -> None:
    outcome = run("check", "drops:DropsConfig")
    text = " ".join(outcome.out.split())
    assert outcome.code == 1 and outcome.err == ""
    assert "projector 'drops' (DropsConfig)" in text
    assert "broken: grid" in text
    assert "problem for features of 2x1 forward gave a grid of 1x1, grid_out says 2x1" in text
    assert "likely forward drops the last feature row: grid_out rounds up, forward rounds down" in text
    assert "remedy let grid_out and forward round the same way" in text
    assert "noted: no docstring below 'side'" in text


@pytest.mark.usefixtures("_module")
def test_fields_can_be_set_and_laws_left_out(run: Run) -> None:
    outcome = run("check", "drops:DropsConfig", "--set", "side=0", "--skip", "compile", "--json")
    data = json.loads(outcome.out)
    assert outcome.code == 0 and data["ok"]
    assert {law["law"] for law in data["laws"] if law["status"] == "skipped"} == {"compile", "flops"}


def test_a_registered_part_is_checked_by_kind_and_tag(run: Run) -> None:
    outcome = run("check", "layouts:2D", "--exports")
    assert outcome.code == 0
    assert outcome.out.split("\n")[0] == "layout '2D' (Layout2DConfig)"
    assert "27 passed, 1 noted" in outcome.out


def test_a_promise_that_is_not_kept_breaks_a_law(run: Run) -> None:
    outcome = run("check", "layouts:2D", "--compiles", "--skip", "export", "--json")
    broken = [law for law in json.loads(outcome.out)["laws"] if law["status"] == "failed"]
    assert outcome.code == 1
    assert [law["law"] for law in broken] == ["compile"] and "torch.compile fails" in broken[0]["problem"]


def test_what_is_too_large_for_numbers_is_said(run: Run) -> None:
    outcome = run("check", "encoders:siglip")
    assert outcome.code == 0
    assert "skipped: too large: 428,225,600 parameters" in " ".join(outcome.out.split())
    assert "Not everything was tested" in outcome.out
    small = ("image_size=8", "patch_size=4", "width=4", "layers=1", "heads=1")
    settings = [word for field in small for word in ("--set", field)]
    assert "Not everything" not in run("check", "encoders:siglip", *settings, "--skip", "compile").out


def test_wrong_names_are_told(run: Run) -> None:
    outcome = run("check", "projectors:liner")
    assert (outcome.code, "did you mean 'linear'?" in outcome.shown) == (1, True)
    outcome = run("check", "vlkit.projectors.linear:LinearConfg")
    assert (outcome.code, "did you mean 'LinearConfig'?" in outcome.shown) == (1, True)
