"""Streaming text: ids come in one by one, text goes out as soon as no later id can change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from vlkit.errors import InputError

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_WINDOW = 32
"""Most ids that are decoded again when another one comes."""
_CONTEXT = 16
"""Ids that a shortened window keeps: enough bytes to get over a character which is cut at its start."""
_LONGEST_CUT = 3
"""Most bytes of an unfinished UTF-8 character."""


class TextStream:
    """Text of one growing sequence of ids.

    All pieces joined are `decode(all ids)`, cut at the first stop string. Held back are the bytes of an unfinished
    character and an end which may become a stop string. Time grows with the number of ids, not with its square.

    Args:
        decode: text of a list of ids. A further id may only add to the text, or replace U+FFFD at its end by the
            character that it completes: true of byte-level BPE and of decoders which drop a leading space.
        stop: strings that end the text and do not belong to it.

    Raises:
        InputError: if a stop string is empty.
    """

    def __init__(self, decode: Callable[[list[int]], str], stop: str | Sequence[str] = ()) -> None:
        self._stops = (stop,) if isinstance(stop, str) else tuple(stop)
        if not all(self._stops):
            raise InputError(f"stop holds an empty string: {list(self._stops)}", rule="a stop string has characters")
        self._decode = decode
        self._window: list[int] = []
        self._taken = 0
        self._pending = ""
        self._closed = False
        self.finished = False
        """Whether a stop string has occurred; whatever is pushed later adds nothing."""

    def push(self, ids: Sequence[int]) -> str:
        """Text that is certain with these further ids; often empty.

        Raises:
            InputError: after `flush`.
        """
        if self._closed:
            raise InputError("ids were pushed after flush", rule="flush ends a stream", remedy="make a new TextStream")
        if self.finished:
            return ""
        self._window.extend(ids)
        text = self._decode(self._window)
        full, unsure = len(self._window) > _WINDOW, len(text) - len(text.rstrip(_REPLACEMENT))
        self._take(text, len(text) - (min(unsure, _LONGEST_CUT) if full else unsure))
        if full:
            self._shorten(text)
        return self._release(self._possible_stop())

    def flush(self) -> str:
        """Text that was held back; ends the stream."""
        if self.finished or self._closed:
            return ""
        self._closed = True
        text = self._decode(self._window)
        self._take(text, len(text))
        return self._release(len(self._pending))

    def _take(self, text: str, end: int) -> None:
        self._pending += text[self._taken : end]
        self._taken = max(self._taken, end)

    def _shorten(self, text: str) -> None:
        """Keep the last ids with text of their own, or simply the last ids: whichever reach back into taken text."""
        worded = (token for token in reversed(self._window) if self._decode([token]))
        held = text[self._taken :]
        for context in list(islice(worded, _CONTEXT))[::-1], self._window[-_CONTEXT:]:
            taken = len(self._decode(context)) - len(held)
            if taken > 0 or taken == self._taken:
                self._window, self._taken = context, taken
                return

    def _possible_stop(self) -> int:
        """Where in the pending text a stop string may have begun; its length if nowhere."""
        text, longest = self._pending, max(map(len, self._stops), default=0)
        starts = range(max(0, len(text) - longest), len(text))
        return next((i for i in starts if any(stop.startswith(text[i:]) for stop in self._stops)), len(text))

    def _release(self, certain: int) -> str:
        """Pending text up to the first stop string, or up to `certain` if none is sure to be the first."""
        found = min((at for stop in self._stops if (at := self._pending.find(stop)) >= 0), default=certain + 1)
        self.finished = found <= certain
        end = min(found, certain)
        released, self._pending = self._pending[:end], self._pending[end:]
        return released
