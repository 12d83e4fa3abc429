"""Text in a font that lacks letters: what is drawn can be drawn, and nothing is lost without being told."""

from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFont

from vlkit.drawing.lettering import Lettering

LETTERING = Lettering(14)
texts = st.text(max_size=20) | st.text("aé红 \t\ufb01Ａ", max_size=12)


@given(texts)
def test_plain_text_can_be_drawn(text: str) -> None:
    plain = LETTERING.plain(text)
    assert all(map(LETTERING.has, plain.text))
    assert plain.text == " ".join(plain.text.split())
    assert LETTERING.plain(plain.text) == (plain.text, True)


@given(texts)
def test_escaped_text_can_be_drawn_and_hides_no_difference(text: str) -> None:
    escaped = LETTERING.escaped(text)
    assert all(map(LETTERING.has, escaped))
    if "\\" not in text:
        assert escaped.encode("ascii", "backslashreplace").decode("unicode_escape") == " ".join(text.split())


@given(st.text("abc d", max_size=60), st.integers(0, 200))
def test_shortened_text_fits(text: str, width: int) -> None:
    short = LETTERING.shortened(text, width)
    assert LETTERING.width(short) <= width or not width
    assert short in (text, "") or (short.endswith("...") and text.startswith(short[:-3]))


@given(st.text("abc d", max_size=80), st.integers(30, 200), st.integers(1, 4))
def test_wrapped_lines_fit_and_hold_the_text(text: str, width: int, most: int) -> None:
    lines = LETTERING.wrapped(LETTERING.escaped(text), width, most=most)
    assert len(lines) <= most
    assert all(LETTERING.width(line) <= width for line in lines)
    if not (lines and lines[-1].endswith("...")):
        assert "".join("".join(lines).split()) == "".join(text.split())


def test_letters_that_are_not_there() -> None:
    assert LETTERING.plain("Sonne über\tBergen") == ("Sonne uber Bergen", True)
    assert LETTERING.plain("Ａ\N{NO-BREAK SPACE}Ⅷ") == ("A VIII", True)
    assert LETTERING.plain("红 fox") == ("fox", False)
    assert LETTERING.plain("\x1b[31m") == ("[31m", False)
    assert LETTERING.plain("") == ("", True)
    assert LETTERING.escaped("é") == "\\xe9"
    assert LETTERING.escaped("红") == "\\u7ea2"


def test_a_bitmap_font_has_latin_letters_only() -> None:
    lettering = Lettering(10)
    lettering.font = ImageFont.load_default_imagefont()
    assert lettering.has("a") and not lettering.has("红")
    assert lettering.plain("fox 红") == ("fox", False)
