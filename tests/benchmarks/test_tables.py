"""Pages show the numbers of the results, and charts are those of these numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks import tables

CASE: dict[str, Any] = {
    "about": "a case: in short",
    "peers": ["other", "third"],
    "floor_seconds": {"step": 0.5, "whole": None},
    "sides": {
        "vlkit": {
            "timings": {
                "step": {"median": 1.0, "least": 0.9, "lower": 0.95, "upper": 1.2},
                "whole": {"median": 4.0, "least": 4.0, "lower": 4.0, "upper": 4.0},
            },
            "numbers": {"peak_of_load": 2.0**20},
            "peak": {"process": 2**30, "device": None},
        },
        "other": {
            "timings": {"step": {"median": 3.0, "least": 2.0, "lower": 2.0, "upper": 3.0}},
            "numbers": {},
            "peak": {"process": 2**31, "device": None},
        },
        "third": {"unavailable": "not installed"},
    },
}


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Folder of results, empty."""
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_pages_show_the_results(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert tables.MARKED.search(text)
    assert tables.written(text) == text, "run python -m benchmarks.tables"


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_charts_are_drawn_from_the_results(page: Path) -> None:
    for benchmark, name in tables.sections(page.read_text(encoding="utf-8")):
        result = tables.load(benchmark)
        assert result is not None and not result["dry"]
        with Image.open(tables.ASSETS / tables.chart_name(benchmark, name)) as chart:
            assert chart.info[tables.SOURCE] == tables.fingerprint(result["cases"][name])


def test_a_table_compares_with_the_best_peer_and_the_floor() -> None:
    head, _, step, whole, peak, load = tables.table(CASE).splitlines()
    assert head == "|  | vlkit | other | third | times as fast as the best peer | floor | vlkit: share of it |"
    spread = "<br><small>900 ms; 950 ms - 1.20 s</small>"
    assert step.startswith(f"| step | 1.00 s{spread} | 3.00 s<br>")
    assert step.endswith("| not installed | 3.00 | 500 ms | 50% |")
    assert whole.endswith("|  | not installed |  |  |  |")
    assert peak == "| peak memory of the process | 1.00 GiB | 2.00 GiB |  |  |  |  |"
    assert load == "| peak of load, beyond the imports | 1.00 MiB |  |  |  |  |  |"


def test_without_peers_nothing_is_compared() -> None:
    head = tables.table(CASE | {"peers": [], "floor_seconds": {}}).splitlines()[0]
    assert head == "|  | vlkit | other | third |"


def test_what_was_not_measured_is_said(results: Path) -> None:
    page = "a\n<!-- measured: decoders latent -->\nold\n<!-- end -->\nb"
    assert tables.written(page) == f"a\n<!-- measured: decoders latent -->\n{tables.NOTHING}<!-- end -->\nb"
    assert tables.sections(page) == []


def test_writing_twice_changes_nothing(results: Path) -> None:
    (results / "decoders.json").write_text(json.dumps({"cases": {"latent": CASE}}))
    page = "a\n<!-- measured: decoders latent -->\n<!-- end -->\nb\n<!-- measured: layout wide -->\n<!-- end -->\n"
    once = tables.written(page)
    assert tables.table(CASE) in once and "(assets/bench-decoders-latent.png)" in once
    assert tables.written(once) == once
    assert tables.sections(once) == [("decoders", "latent")]


def test_a_chart_has_a_bar_for_every_side_and_the_floor(tmp_path: Path) -> None:
    path = tables.draw("some_benchmark", "one case", CASE, tmp_path)
    assert path.name == "bench-some-benchmark-one-case.png"
    with Image.open(path) as chart:
        assert chart.info[tables.SOURCE] == tables.fingerprint(CASE)
