"""The documentation: its code runs, its tables are true, and it covers every public module."""

import re
import runpy
from pathlib import Path

import pytest

from tests.markdown import REASONS, ROOT, blocks, prepare, require_extras, run_page
from vlkit.notation import LEGEND

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_code_of_a_page_runs_and_prints_what_the_page_says(
    page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require_extras(page.read_text(encoding="utf-8"))
    prepare(monkeypatch, tmp_path)
    run_page(page)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=name)
def test_blocks_are_left_out_for_known_reasons_only(page: Path) -> None:
    for block in blocks(page):
        where = f"{name(page)}:{block.line}"
        assert block.language, f"{where} names no language"
        if block.comment.startswith("not run"):
            assert block.comment in [f"not run: {reason}" for reason in REASONS], f"{where} is left out for no reason"
        if block.is_output:
            assert block.language == "text", f"{where} is output, so its language is text"
        if block.snippet is not None:
            assert block.snippet.is_file() and block.snippet.is_relative_to(ROOT / "examples"), f"{where}: no example"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=name)
def test_every_fence_is_seen(page: Path) -> None:
    fences = re.findall(r"^\s*```", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(blocks(page))


def test_notation_page_is_the_legend() -> None:
    rows = re.findall(r"^\| `(\w)` \| (.+) \|$", (DOCS / "notation.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {letter: meaning.replace("\\*", "*") for letter, meaning in rows} == LEGEND


def test_every_module_is_on_a_reference_page() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    shown = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    source = ROOT / "src"
    modules = {
        ".".join(file.relative_to(source).with_suffix("").parts)
        for file in source.rglob("*.py")
        if not file.stem.startswith("_")
    }
    assert set(shown) == modules, "list new modules on a page in docs/reference"
    assert len(shown) == len(set(shown))


def linked_from(page: Path) -> set[Path]:
    """Pages that the text of a page links to."""
    text = page.read_text(encoding="utf-8")
    return {(page.parent / link).resolve() for link in re.findall(r"\]\(([^)#:\s]+\.md)(?:#[^)\s]*)?\)", text)}


def test_every_page_is_two_clicks_from_the_first() -> None:
    reached = {DOCS / "index.md"}
    for _ in range(2):
        reached |= {page for known in reached for page in linked_from(known)}
    assert sorted(name(page) for page in set(PAGES) - reached) == []


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = re.findall(r"(\S+\.md)$", nav, re.MULTILINE)
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES)


def test_every_picture_is_on_a_page_and_made_by_code() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    folders = (ROOT / "tools", ROOT / "benchmarks")
    scripts = "\n".join(file.read_text(encoding="utf-8") for folder in folders for file in folder.glob("*.py"))
    for picture in (DOCS / "assets").glob("*.png"):
        assert f"assets/{picture.name}" in text, f"no page shows {picture.name}"
        names = (f'"{picture.stem}"', f'"{picture.name}"')
        known = picture.stem.startswith(("bench-", "study-")) or any(found in scripts for found in names)
        assert known, f"no script makes {picture.name}"


def test_pictures_link_to_their_files_and_drawings_do_not() -> None:
    link = runpy.run_path(str(ROOT / "tools" / "link_pictures.py"))["on_page_content"]
    picture = '<img alt="Two tiles" class="figure" src="../assets/tiles.png" />'
    assert link(f"<p>{picture} and</p>", page=None) == (
        f'<p><a class="picture" href="../assets/tiles.png">{picture}</a> and</p>'
    )
    assert link('<img src="assets/token-path.svg">') == '<img src="assets/token-path.svg">'


def test_drawing_of_the_token_path_is_what_its_script_makes() -> None:
    script = runpy.run_path(str(ROOT / "tools" / "make_docs_pictures.py"))
    for file, make in (("token-path.svg", "token_path"), ("token-path-narrow.svg", "narrow_token_path")):
        assert (DOCS / "assets" / file).read_text(encoding="utf-8") == script[make]()
