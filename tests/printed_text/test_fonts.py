"""Fonts by family, by path, and Pillow's own; a font that is missing is told with what installs it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vlkit.errors import InputError
from vlkit.printed_text import fonts


@pytest.fixture
def nothing_remembered() -> Iterator[None]:
    fonts._file.cache_clear()
    fonts.load.cache_clear()
    yield
    fonts._file.cache_clear()
    fonts.load.cache_clear()


def test_families_have_the_faces_of_their_package() -> None:
    assert fonts.faces("pillow") == ("pillow",)
    assert "roboto/bold" in fonts.faces("roboto")
    assert all(fonts.faces(family) for family in fonts.PACKAGES)


def test_pillows_own_font_has_every_size_and_is_opened_once() -> None:
    assert fonts.load("pillow", 20) is fonts.load("pillow", 20)
    assert fonts.load("pillow", 40).getlength("ABC") > 1.5 * fonts.load("pillow", 20).getlength("ABC")


def test_an_unknown_font_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"no font is called 'robotto'; did you mean 'roboto'"):
        fonts.faces("robotto")


@pytest.mark.usefixtures("nothing_remembered")
def test_a_font_that_is_not_installed_is_told_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"'caladea/bold' is not installed") as caught:
        fonts.load("caladea/bold", 21)
    assert 'pip install "vlkit[fonts]", or font-caladea alone' in str(caught.value)


@pytest.mark.usefixtures("nothing_remembered")
def test_a_file_that_is_no_font_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "font.ttf"
    file.write_bytes(b"no font")
    (face,) = fonts.faces(str(file))
    with pytest.raises(InputError, match="cannot be opened"):
        fonts.load(face, 12)
