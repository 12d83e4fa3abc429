"""Places of the entries in a file of JSON lines or of one JSON array, found without keeping the file in memory."""

from __future__ import annotations

import mmap
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vlkit.errors import ConfigError

TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
"""A string as a whole, or a bracket outside of strings."""
STEP = 2**20


class Place(NamedTuple):
    """Where an entry stands.

    Args:
        start: first byte.
        length: bytes.
        line: number of its first line, from 1.
    """

    start: int
    length: int
    line: int


class Places:
    """Places of all entries of a file, 24 bytes each."""

    def __init__(self) -> None:
        self._numbers = array("Q")

    def append(self, start: int, length: int, line: int) -> None:
        """Add an entry."""
        self._numbers.extend((start, length, line))

    def __len__(self) -> int:
        return len(self._numbers) // 3

    def __getitem__(self, index: int) -> Place:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return Place(*self._numbers[3 * index : 3 * index + 3])


def index_file(path: Path) -> Places:
    """Places of the entries of a file; one that begins with `[` holds one array, any other has an entry to a line.

    Raises:
        ConfigError: if the file cannot be read, or holds no entry.
    """
    places = Places()
    try:
        if path.stat().st_size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                found = _of_array(data, path) if re.match(rb"(?:\xef\xbb\xbf)?\s*\[", data) else _of_lines(data)
                for place in found:
                    places.append(*place)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", remedy="check the path") from None
    if not len(places):
        raise ConfigError(f"{path} holds no entry", rule="it holds JSON lines, or one JSON array of objects")
    return places


def _of_lines(data: mmap.mmap) -> Iterator[Place]:
    start = 3 if data[:3] == b"\xef\xbb\xbf" else 0
    line = 1
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if re.compile(rb"[^\s]").search(data, start, end):
            yield Place(start, end - start, line)
        start, line = end + 1, line + 1


def _of_array(data: mmap.mmap, path: Path) -> Iterator[Place]:
    """Objects directly inside the array; whether they are well-formed is seen when they are read."""
    depth, start, line, counted = 0, 0, 1, 0
    for token in TOKEN.finditer(data):
        sign = token[0]
        if sign in (b"{", b"["):
            depth += 1
            if depth == 2:
                line += _newlines(data, counted, token.start())
                start = counted = token.start()
        elif sign in (b"}", b"]"):
            depth -= 1
            if depth == 1:
                yield Place(start, token.end() - start, line)
    if depth:
        raise ConfigError(
            f"{path} ends inside its array",
            rule="every bracket is closed",
            remedy="complete the file, or fetch it again",
        )


def _newlines(data: mmap.mmap, start: int, end: int) -> int:
    return sum(data[at : min(at + STEP, end)].count(b"\n") for at in range(start, end, STEP))
