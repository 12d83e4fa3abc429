"""Adapters on their own in a folder, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from vlkit.checkpoint.files import WeightFiles
from vlkit.checkpoint.reading import read_into
from vlkit.checkpoint.saving import save
from vlkit.errors import CheckpointError, did_you_mean
from vlkit.files import read_json, write_json
from vlkit.training.lora import adapter_tensors, attach_adapters
from vlkit.training.parts import PartTraining
from vlkit.vlm import VLM

SETTINGS = "adapters.json"
FORMAT = 1


def save_adapters(model: VLM, parts: Mapping[str, PartTraining], folder: str | Path) -> None:
    """Write the adapters alone: their tensors as safetensors, and the settings of `parts` that made them.

    Raises:
        CheckpointError: if the model has none, or they cannot be written.
    """
    tensors = adapter_tensors(model)
    if not tensors:
        raise CheckpointError("the model has no adapters", remedy="attach some: parts with lora")
    save({name: tensor.detach() for name, tensor in tensors.items()}, folder)
    settings = {part: training.model_dump(mode="json") for part, training in parts.items()}
    write_json(Path(folder) / SETTINGS, {"format": FORMAT, "parts": settings})


def load_adapters(model: VLM, folder: str | Path) -> dict[str, PartTraining]:
    """Attach adapters as `save_adapters` wrote them.

    Args:
        model: the one that they were trained beside, without adapters.
        folder: where they are.

    Returns:
        The parts they were trained with.

    Raises:
        CheckpointError: if files are missing or damaged, or belong to another model.
    """
    content = read_json(Path(folder) / SETTINGS)
    if content.get("format") != FORMAT or not isinstance(content.get("parts"), dict):
        raise CheckpointError(f"{Path(folder) / SETTINGS} is malformed", rule=f"this version reads format {FORMAT}")
    parts = {part: PartTraining.model_validate(training) for part, training in content["parts"].items()}
    attach_adapters(model, parts)
    restore_adapters(model, folder)
    return parts


@torch.no_grad()
def restore_adapters(model: VLM, folder: str | Path) -> None:
    """Give adapters that are attached already the numbers that `save_adapters` wrote.

    Raises:
        CheckpointError: if files are missing or damaged, or the adapters are others.
    """
    own, entries = adapter_tensors(model), WeightFiles.open(Path(folder)).entries
    for name in sorted(own.keys() ^ entries.keys()):
        there, other = ("file", own) if name in entries else ("model", entries)
        raise CheckpointError(
            f"only the {there} has the adapter {name!r:.200}; {did_you_mean(name, other)}",
            remedy="load the adapters into the model that they were trained beside",
        )
    for name, tensor in own.items():
        entry = entries[name]
        if entry.shape != tensor.shape:
            raise CheckpointError(
                f"adapter {name!r} of shape {list(entry.shape)}", rule=f"this model's is {list(tensor.shape)}"
            )
        values = torch.empty(entry.shape, dtype=entry.dtype)
        read_into(entry, values.view(-1))
        tensor.copy_(values)
