"""The checkpoints of a run: the newest ones, each whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vlkit.checkpoint.files import WeightFiles
from vlkit.checkpoint.reading import read_into
from vlkit.checkpoint.saving import save
from vlkit.errors import CheckpointError
from vlkit.files import read_json, write_json
from vlkit.training.whole_folder import remove_unfinished, remove_whole, write_whole

NAME = re.compile(r"step-(\d+)")
STATE = "state.json"
FORMAT = 1


class Checkpoints:
    """Folders `step-000100`: the model in the official layout with its processor, the optimiser, and the state.

    Args:
        folder: that holds them.
        keep: how many stay.
    """

    def __init__(self, folder: Path, *, keep: int) -> None:
        self.folder, self.keep = folder, keep

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, the oldest first."""
        found = [NAME.fullmatch(path.name) for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted(int(match[1]) for match in found if match)

    def path(self, step: int) -> Path:
        """Folder of a step."""
        return self.folder / f"step-{step:06}"

    def latest(self) -> Path | None:
        """Folder of the newest checkpoint; None if there is none."""
        steps = self.steps()
        return self.path(steps[-1]) if steps else None

    def write(self, step: int, state: Mapping[str, Any], fill: Callable[[Path], None]) -> None:
        """Add a checkpoint, then take away what is older than the ones to keep.

        Args:
            step: steps done.
            state: what JSON can say of it.
            fill: writes everything else into the folder that it is given.

        Raises:
            CheckpointError: if it cannot be written; earlier ones stay.
        """

        def complete(folder: Path) -> None:
            fill(folder)
            write_json(folder / STATE, {"format": FORMAT, "step": step, **state})

        write_whole(self.path(step), complete)
        for old in self.steps()[: -self.keep]:
            remove_whole(self.path(old))

    def clean(self) -> None:
        """Take away what a process that was killed has left."""
        remove_unfinished(self.folder)


def read_state(folder: Path) -> dict[str, Any]:
    """State of a checkpoint.

    Raises:
        CheckpointError: if it is missing, damaged, or of a later format.
    """
    state = read_json(folder / STATE)
    if state.get("format") != FORMAT or not isinstance(state.get("step"), int):
        raise CheckpointError(
            f"{folder / STATE} has the format {state.get('format')!r:.40}",
            rule=f"this version reads format {FORMAT}",
            remedy="resume with the version of vlkit that wrote it, or remove this checkpoint",
        )
    return state


def write_tensors(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Tensors as safetensors in a folder of their own; no folder if there are none."""
    if tensors:
        save(tensors, folder)


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Tensors that `write_tensors` wrote, on the CPU.

    Raises:
        CheckpointError: if a file is missing or damaged.
    """
    if not folder.is_dir():
        return {}
    tensors = {}
    for name, entry in WeightFiles.open(folder).entries.items():
        tensors[name] = torch.empty(entry.shape, dtype=entry.dtype)
        read_into(entry, tensors[name].view(-1))
    return tensors
