"""Lists of boxes as models write them: `[[left, upper, right, lower], ...]`, read tolerantly and in linear time."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from vlkit.tiling import Box

SCALE = 999
"""Coordinate of the right and of the lower edge."""
MAX_DEPTH = 8
"""Most brackets that may be open at once, a box's own among them."""

_NUMBER = r"\s*([0-9]{1,3})\s*"
_PIECE = re.compile(
    rf"(?P<box>\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\])"
    r"|(?P<list>\[[^\[\]]*\])|(?P<open>\[)|(?P<close>\])|(?P<between>[\s,]+)|(?P<text>[^\[\]\s,]+)"
)


@dataclass(frozen=True)
class Malformed:
    """Part `[start, stop)` of a text that looks like grounding and cannot be used."""

    start: int
    stop: int
    reason: str


@dataclass
class BoxList:
    """Boxes found so far, and what is neither a box nor a list of boxes."""

    boxes: list[Box] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)
    _opened: list[int] = field(default_factory=list)

    def read(self, text: str, start: int, stop: int) -> None:
        """Read the list between two places of a text."""
        for piece in _PIECE.finditer(text, start, stop):
            match piece.lastgroup:
                case "box":
                    self._box(piece)
                case "list":
                    self._report(piece.span(), f"not [left, upper, right, lower] with whole numbers from 0 to {SCALE}")
                case "open":
                    self._opened.append(piece.start())
                case "close" if self._opened:
                    self._opened.pop()
                case "close":
                    self._report(piece.span(), "a bracket that was not opened")
                case "text":
                    self._report(piece.span(), "not part of a list of boxes")
        if self._opened:
            self._report((self._opened[0], stop), "a bracket that is not closed")
        if not self.boxes and not self.malformed:
            self._report((start, stop), "no box")

    def _box(self, piece: re.Match[str]) -> None:
        box = Box(*(int(number) for number in piece.groups()[1:5]))
        if not in_order(box):
            self._report(piece.span(), "edges in the wrong order")
        elif len(self._opened) >= MAX_DEPTH:
            self._report(piece.span(), f"in more than {MAX_DEPTH} brackets")
        else:
            self.boxes.append(box)

    def _report(self, span: tuple[int, int], reason: str) -> None:
        """Note a part, as one with the part before it if they touch and are wrong in the same way."""
        last = self.malformed[-1] if self.malformed else None
        if last and last.reason == reason and last.stop == span[0]:
            self.malformed[-1] = Malformed(last.start, span[1], reason)
        else:
            self.malformed.append(Malformed(*span, reason))


def in_order(box: Box) -> bool:
    """Whether a box lies within 0 to 999, its edges in order."""
    return 0 <= box.left <= box.right <= SCALE and 0 <= box.upper <= box.lower <= SCALE
