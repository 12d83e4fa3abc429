"""The dimension legend holds for every name in the library."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import vlkit
from vlkit.notation import LEGEND, Grid, Size

SOURCE = Path(vlkit.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
SHAPE = re.compile(r"\b(?:float|int|bool|float32|float64|int64|LongTensor)\[([^]\n]*)\]")
SUFFIX = re.compile(r"^_*[a-z][a-z0-9_]*_([A-Z]+)$")


def names(path: Path) -> Iterator[str]:
    """All names that a file gives to variables, arguments, functions, attributes and keywords."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name) | ast.FunctionDef(name=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name


def suffixes(path: Path) -> set[tuple[str, str]]:
    """Pairs of a name and its suffix of dimensions."""
    return {(name, found[1]) for name in names(path) if (found := SUFFIX.match(name))}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_suffixes_use_only_letters_of_the_legend(path: Path) -> None:
    assert {name for name, suffix in suffixes(path) if set(suffix) - LEGEND.keys()} == set()


def test_the_suffixes_are_found_at_all() -> None:
    found = set().union(*(suffixes(path) for path in FILES))
    assert {("x_BTD", "BTD"), ("x_NYXW", "NYXW"), ("plan_L", "L"), ("mask_BTS", "BTS")} <= found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_shapes_in_docstrings_use_only_letters_of_the_legend(path: Path) -> None:
    shapes = SHAPE.findall(path.read_text(encoding="utf-8"))
    assert {letter for shape in shapes for letter in re.findall(r"\b[A-Z]+\b", shape)} - LEGEND.keys() == set()


def test_every_letter_of_the_legend_is_used() -> None:
    used = {letter for path in FILES for _, suffix in suffixes(path) for letter in suffix}
    shapes = {shape for path in FILES for shape in SHAPE.findall(path.read_text(encoding="utf-8"))}
    assert LEGEND.keys() - used - {letter for shape in shapes for letter in re.findall(r"\b[A-Z]\b", shape)} == set()


def test_grid_counts_rows_first_and_size_width_first() -> None:
    assert (Grid(2, 5).rows, Grid(2, 5).cols, Grid(2, 5).area, str(Grid(2, 5))) == (2, 5, 10, "2x5")
    assert (Size(2, 5).width, Size(2, 5).height, str(Size(2, 5))) == (2, 5, "2x5")
