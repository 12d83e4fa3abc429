"""Text in a font that may lack letters: what it cannot draw is drawn plainer, or told to be missing."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import NamedTuple

from vlkit.drawing.canvas import load_font

_NO_CHARACTER = "\U0010ffff"
"""A code point that no font has a letter for."""


class Plain(NamedTuple):
    """Text that a font can draw, and whether all letters are there."""

    text: str
    complete: bool


class Lettering:
    """A font at one size.

    Args:
        size: in pixels.
        font: TrueType or OpenType file; None: Pillow's own, which has the letters of ASCII.

    Raises:
        InputError: if the file is no font.
    """

    def __init__(self, size: int, font: str | Path | None = None) -> None:
        self.size, self.font = size, load_font(size, font)
        self._missing = self._drawn(_NO_CHARACTER)

    def width(self, text: str) -> int:
        """Width of a line in pixels, rounded up."""
        return -int(-self.font.getlength(text) // 1)

    def plain(self, text: str) -> Plain:
        """The text in letters that the font has.

        White space becomes a blank. Of accented, full-width and joined letters the plain ones are kept: "é" becomes
        "e". Letters without such a form are left out, and make the text incomplete.
        """
        kept, complete = [], True
        for char in unicodedata.normalize("NFC", " ".join(text.split())):
            own = [char] if self.has(char) else [part for part in unicodedata.normalize("NFKD", char) if self.has(part)]
            complete = complete and bool(own)
            kept += own
        return Plain(" ".join("".join(kept).split()), complete)

    def escaped(self, text: str) -> str:
        """The text as one line, letters that the font lacks as their code points: "\\u00e9"."""
        line = " ".join(text.split())
        return "".join(char if self.has(char) else char.encode("unicode_escape").decode() for char in line)

    def has(self, char: str) -> bool:
        """Whether the font has a letter for a character."""
        return char == " " or (char.isprintable() and self._drawn(char) not in (None, self._missing))

    def shortened(self, text: str, width: int) -> str:
        """The text, or as much of its beginning as fits with three dots; "" if not even these do."""
        if self.width(text) <= width:
            return text
        fitting = self._fitting(text, width, end="...")
        return f"{text[:fitting].rstrip()}..." if self.width("...") <= width else ""

    def wrapped(self, text: str, width: int, *, most: int) -> list[str]:
        """The text in at most so many lines, broken between words where it can be; the last may be shortened."""
        lines: list[str] = []
        rest = text
        while rest and len(lines) < most - 1 and self.width(rest) > width:
            fitting = self._fitting(rest, width)
            cut = rest.rfind(" ", 1, fitting + 1)
            cut = cut if cut > 0 else max(fitting, 1)
            lines.append(rest[:cut].rstrip())
            rest = rest[cut:].lstrip()
        return [*lines, self.shortened(rest, width)] if rest else lines

    def _fitting(self, text: str, width: int, *, end: str = "") -> int:
        """Most letters of a text that fit, followed by `end`."""
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.width(text[:middle] + end) <= width else (low, middle - 1)
        return low

    def _drawn(self, char: str) -> tuple[tuple[int, int], bytes] | None:
        try:
            mask = self.font.getmask(char)
        except UnicodeEncodeError:  # Pillow's bitmap font knows Latin-1 only
            return None
        return mask.size, bytes(mask)
