"""Samples in a file of JSON lines, or of one JSON array, as LLaVA and its successors write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL.Image import Image

from vlkit.errors import ConfigError, InputError
from vlkit.processing.image import MAX_PIXELS, load
from vlkit.training.json_index import Place, index_file
from vlkit.training.sample import IMAGE_TAG, Sample, SampleError

ROLES = {
    "human": "<|User|>",
    "user": "<|User|>",
    "gpt": "<|Assistant|>",
    "assistant": "<|Assistant|>",
    "system": "system",
}
"""Who speaks, and what the official conversations call him."""
MAX_ENTRY = 16 * 2**20
"""Most bytes that one entry may have."""


class JsonLines:
    """Conversations in a file, with pictures in a folder.

    An entry reads `{"id": ..., "image": "a.jpg", "conversations": [{"from": "human", "value": "<image>\\nWhat is
    this?"}, {"from": "gpt", "value": "A boat."}]}`. `image` (or `images`) is a path or a list of paths, one for each
    `<image>` in what the human says. Entries stand one to a line, or in one array. Only their places in the file are
    held in memory.

    Args:
        file: of the entries.
        images: folder that the paths start from, and never lead out of, by links neither; None: no entry has pictures.
        max_pixels: most pixels of a picture, checked before it is decoded.

    Raises:
        ConfigError: if the file cannot be read or holds no entry, or the folder is none.
    """

    def __init__(self, file: str | Path, images: str | Path | None = None, *, max_pixels: int = MAX_PIXELS) -> None:
        self.file, self.max_pixels = Path(file), max_pixels
        self.images = None if images is None else Path(images).resolve()
        if self.images is not None and not self.images.is_dir():
            raise ConfigError(f"{str(images)!r} is no folder", remedy="name the folder that the image paths start from")
        self._places = index_file(self.file)

    @property
    def count(self) -> int:
        return len(self._places)

    def sample(self, index: int) -> Sample:
        place = self._places[index]
        origin = f"{self.file.name}, line {place.line}"
        entry = self._read(place, origin)
        turns = tuple(_turn(turn, number, origin) for number, turn in enumerate(_turns(entry, origin)))
        names = _names(entry, origin)
        asked = sum(turn["content"].count(IMAGE_TAG) for turn in turns if turn["role"] == "<|User|>")
        if asked != len(names):
            raise SampleError(
                origin,
                f"{len(names)} images for {asked} {IMAGE_TAG} in what the human says",
                rule=f"every {IMAGE_TAG} stands for one image, in their order",
            )
        return Sample(turns, tuple(self._load(name, origin) for name in names), origin)

    def _read(self, place: Place, origin: str) -> Mapping[str, Any]:
        if place.length > MAX_ENTRY:
            raise SampleError(
                origin, f"the entry has {place.length} bytes", rule=f"an entry has at most {MAX_ENTRY} bytes"
            )
        try:
            with self.file.open("rb") as file:
                file.seek(place.start)
                entry = json.loads(file.read(place.length))
        except OSError as error:
            raise SampleError(origin, f"the file cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise SampleError(origin, f"malformed JSON: {error}") from None
        if not isinstance(entry, dict):
            raise SampleError(origin, f"the entry is a {type(entry).__name__}", rule="an entry is a mapping")
        return entry

    def _load(self, name: str, origin: str) -> Image:
        if self.images is None:
            raise SampleError(
                origin, f"the image {name!r:.80}, but no folder of images", remedy="name the folder: images=..."
            )
        try:
            path = (self.images / name).resolve()
            inside = path.is_relative_to(self.images) and path.is_file()
        except (OSError, ValueError, RuntimeError):  # names that no file can have, and links in a circle
            inside = False
        if not inside:
            raise SampleError(
                origin,
                f"the image {name!r:.80} is not there",
                rule="image paths lead to files in the folder of images, and never out of it",
            )
        try:
            return load(path, max_pixels=self.max_pixels)
        except InputError as error:
            raise SampleError(origin, error.problem, rule=error.rule, remedy=error.remedy) from None


def _turns(entry: Mapping[str, Any], origin: str) -> list[Any]:
    turns = entry.get("conversations")
    if not isinstance(turns, list) or not turns:
        raise SampleError(
            origin,
            f'"conversations" is {turns!r:.80}',
            rule='an entry has a list of turns, {"from": "human", "value": "..."}',
        )
    return turns


def _turn(turn: Any, number: int, origin: str) -> dict[str, str]:
    speaker, text = (turn.get("from"), turn.get("value")) if isinstance(turn, dict) else (None, None)
    if not isinstance(speaker, str) or speaker not in ROLES or not isinstance(text, str):
        raise SampleError(
            origin,
            f"turn {number} is {turn!r:.120}",
            rule=f'a turn is {{"from": one of {", ".join(ROLES)}, "value": a text}}',
        )
    return {"role": ROLES[speaker], "content": text}


def _names(entry: Mapping[str, Any], origin: str) -> list[str]:
    given = [entry[key] for key in ("image", "images") if entry.get(key) is not None]
    names = given[0] if given else []
    names = [names] if isinstance(names, str) else names
    if len(given) > 1 or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SampleError(
            origin, f"images given as {given!r:.120}", rule='"image" or "images" is a path or a list of paths'
        )
    return names
