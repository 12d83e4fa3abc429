"""The studies of the documentation: their recipes are valid, and pages show what was found."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.markdown import ROOT
from vlkit.comparison import Comparison, plan_study

SCRIPT = runpy.run_path(str(ROOT / "tools" / "write_studies.py"))


@pytest.mark.parametrize("page", SCRIPT["PAGES"], ids=lambda page: page.name)
def test_pages_show_the_results_that_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert SCRIPT["MARKED"].search(text)
    assert SCRIPT["written"](text) == text, "run python tools/write_studies.py"
    for _, study, _ in SCRIPT["MARKED"].findall(text):
        assert (SCRIPT["RESULTS"] / f"{study}.json").is_file() == (
            ROOT / "docs" / "assets" / SCRIPT["picture_name"](study)
        ).is_file()


def test_a_result_becomes_table_and_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.comparison.test_results import comparison

    found: Comparison = comparison({"a": [1.0, 2.0], "b": [1.5, 2.7]})
    found.save(tmp_path / "some_study.json")
    for name in ("RESULTS", "ASSETS"):
        monkeypatch.setitem(SCRIPT["written"].__globals__, name, tmp_path)
    text = "before\n<!-- study: some_study -->\nstale text\n<!-- end -->\nafter\n"
    shown = SCRIPT["written"](text)
    assert found.table() in shown and "study-some-study.png" in shown and "stale text" not in shown
    assert SCRIPT["written"](shown) == shown
    SCRIPT["draw"]("some_study")
    assert (tmp_path / "study-some-study.png").is_file()


def test_the_study_of_layouts_and_projectors_can_be_run() -> None:
    vary: dict[str, list[Any]] = {
        "layout": ["2D", "1D", "plain"],
        "projector": ["downsample_mlp_gelu", {"type": "average_pool", "grid": [3, 3]}, "linear"],
    }
    study = plan_study(ROOT / "examples" / "layouts_and_projectors" / "recipe.toml", vary, seeds=4, grid=False)
    assert len(study.runs) == 20
