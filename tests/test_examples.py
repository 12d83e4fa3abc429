"""The examples run as they are, on a CPU, without a network."""

import runpy
from pathlib import Path

import pytest

from tests.markdown import ROOT, blocks, fresh_registries, prepare, require_extras

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_says_something(
    example: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_extras(example.read_text(encoding="utf-8"))
    prepare(monkeypatch, tmp_path)
    with fresh_registries():
        runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out.strip()


def test_every_example_is_shown_in_the_documentation() -> None:
    shown = {block.snippet for page in (ROOT / "docs").rglob("*.md") for block in blocks(page)}
    assert set(EXAMPLES) <= shown
