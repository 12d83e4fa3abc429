"""The README: its commands, code, links, tables and tree are true."""

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.markdown import ROOT, SHELLS, blocks, prepare, run_page
from vlkit.cache import cache_policies
from vlkit.decoders import decoders
from vlkit.encoders import encoders
from vlkit.layouts import layouts
from vlkit.projectors import projectors

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
DEMO = "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt -e . && .venv/bin/vlkit demo"
SOURCE = ROOT / "src" / "vlkit"


def test_code_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    prepare(monkeypatch, tmp_path)
    run_page(README)


def test_two_commands_are_all_it_takes() -> None:
    assert [block.text.strip() for block in blocks(README) if block.language in SHELLS] == [DEMO, "make check"]


def test_commands_name_what_exists() -> None:
    from vlkit.cli import app

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"vlkit": "vlkit.cli:app"}
    assert (ROOT / "constraints.txt").is_file()
    assert re.search(r"^check:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert CliRunner().invoke(app, ["demo", "--help"]).exit_code == 0


def test_links_and_pictures_lead_to_files() -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT)
    assert targets
    assert not [target for target in targets if not (ROOT / target).is_file()]


def test_table_of_parts_is_what_is_registered() -> None:
    for registry in (encoders, projectors, layouts, decoders, cache_policies):
        kind = {"cache_policies": "cache policy"}.get(registry.kind, registry.kind.removesuffix("s"))
        row = re.search(rf"^\| {kind} \| ([^|]+) \|", TEXT, re.MULTILINE)
        assert row, f"the table has no row {kind}"
        assert set(re.findall(r"`([^`]+)`", row[1])) == set(registry) - {"supplied"}


def test_tree_is_the_source() -> None:
    tree = next(block.text for block in blocks(README) if block.text.startswith("src/vlkit/\n"))
    told: dict[str, set[str]] = {}
    for line in tree.splitlines()[1:]:
        entry = re.match(r"  (\S+)", line)
        if entry:
            told[entry[1]] = set()
        elif line.startswith(" "):
            told[[*told][-1]] |= set(line.split())
    assert told == {**{name: set() for name in _files(SOURCE)}, **_folders(SOURCE, "")}
    assert all((ROOT / line.split()[0]).is_dir() for line in tree.splitlines() if not line.startswith(" "))


def _files(folder: Path) -> set[str]:
    return {file.name for file in folder.glob("*.py") if not file.stem.startswith("__")}


def _folders(folder: Path, prefix: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and inner.name != "__pycache__":
            names = {file.stem if file.suffix == ".py" else file.name for file in inner.iterdir() if file.is_file()}
            found |= {f"{prefix}{inner.name}/": {name for name in names if not name.startswith("__")}}
            found |= _folders(inner, f"{prefix}{inner.name}/")
    return found
