"""Examples in docstrings give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import vlkit

SOURCE = Path(vlkit.__file__).parent
WITH_EXAMPLES = sorted(
    file.relative_to(SOURCE.parent).with_suffix("").as_posix().replace("/", ".")
    for file in SOURCE.rglob("*.py")
    if ">>> " in file.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_a_module_hold(name: str) -> None:
    tried = doctest.testmod(importlib.import_module(name))
    assert tried.failed == 0 < tried.attempted
