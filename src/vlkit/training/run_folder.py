"""The folder of a run: where its files are, and whose run it is."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from vlkit.errors import TrainingError
from vlkit.files import write_text
from vlkit.training.recipe import FREE, Recipe
from vlkit.training.toml import to_toml

Resume = Literal["auto"] | bool
"""Whether a run that the folder holds goes on: True demands one, False refuses it, "auto" takes what is there."""


class RunFolder:
    """Files of one run.

    Args:
        path: of the folder; made when the run begins.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.toml"
        self.metrics = self.path / "metrics.jsonl"
        self.curve = self.path / "curve.png"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"

    def require_fit(self, recipe: Recipe, resume: Resume) -> None:
        """Refuse a folder with something else in it, while nothing is allocated.

        Raises:
            TrainingError: if it holds another run or other files, or a run that must, or must not, be there.
        """
        if self.path.exists() and not self.path.is_dir():
            raise TrainingError(f"{self.path} is a file", rule="the output is a folder", remedy="name another one")
        if not self.recipe.is_file():
            self._require_empty()
            if resume is True:
                raise TrainingError(
                    f"{self.path} holds no run",
                    rule="only a run that began can be resumed",
                    remedy="leave --resume out",
                )
            return
        if resume is False:
            raise TrainingError(
                f"{self.path} holds a run",
                rule="a run is not written over",
                remedy="resume it (--resume, or resume=True), or name another folder",
            )
        changed = differences(Recipe.from_file(self.recipe), recipe)
        if changed:
            raise TrainingError(
                f"{self.path} holds another run: {', '.join(changed[:8])}",
                rule="a run goes on with its own recipe; only " + ", ".join(sorted(FREE)) + " may change",
                remedy="name another folder, or give the recipe as it was",
            )

    def begin(self, recipe: Recipe) -> None:
        """Make the folder with the recipe as it runs.

        Raises:
            TrainingError: if the recipe holds what TOML cannot say.
        """
        text = to_toml(recipe.model_dump(mode="json", exclude_none=True))
        changed = differences(Recipe.model_validate(tomllib.loads(text)), recipe)
        if changed:
            raise TrainingError(f"the recipe cannot be written down: {', '.join(changed[:8])}")
        write_text(self.recipe, text)

    def _require_empty(self) -> None:
        if self.path.is_dir() and any(not path.name.startswith(".") for path in self.path.iterdir()):
            raise TrainingError(
                f"{self.path} holds files that are no run",
                rule="the output is an empty folder, a new one, or that of the run",
                remedy="name another folder",
            )


def differences(before: Recipe, after: Recipe) -> list[str]:
    """Fields that decide what is learned and differ, with both values."""
    old, new = (recipe.model_dump(mode="json", exclude_none=True, exclude=set(FREE)) for recipe in (before, after))
    return list(differing_fields("", old, new))


def differing_fields(path: str, old: Any, new: Any) -> list[str]:
    """Fields of two tables that differ, by their names behind `path`, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = list(dict.fromkeys([*old, *new]))
        inner = (differing_fields(f"{path}.{name}".strip("."), old.get(name), new.get(name)) for name in names)
        return [each for found in inner for each in found]
    return [] if old == new else [f"{path} was {old!r:.60}, is {new!r:.60}"]
