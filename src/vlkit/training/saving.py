"""A trainer's model, optimiser and place, to a folder and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vlkit.checkpoint.files import WeightFiles
from vlkit.checkpoint.loading import named_tensors
from vlkit.checkpoint.reading import read_into
from vlkit.files import read_json
from vlkit.models.auto import NATIVE_KEYMAP, save_pretrained
from vlkit.models.families import family_of
from vlkit.models.family import NATIVE
from vlkit.processing.processor import Processor
from vlkit.training.adapter_files import restore_adapters, save_adapters
from vlkit.training.checkpoints import read_tensors, write_tensors
from vlkit.training.lora import adapters_of, without_adapters
from vlkit.training.optimizer import optimizer_tensors, restore_optimizer
from vlkit.training.sharding import whole_model
from vlkit.training.trainer import Trainer
from vlkit.vlm import VLM

OPTIMIZER, ADAPTERS = "optimizer", "adapters"


def trainer_writer(trainer: Trainer, processor: Processor[Any]) -> Callable[[Path], None]:
    """What writes model, processor, adapters and the optimiser's state; every process asks for it, one uses it.

    The model is written as it is beside its adapters, which get a folder of their own.
    """
    model = whole_model(trainer.model)
    tensors = optimizer_tensors(trainer.optimizer, trainer.names)

    def write(folder: Path) -> None:
        if adapters_of(model):
            save_adapters(model, trainer.recipe.parts, folder / ADAPTERS)
        with without_adapters(model, merged=False):
            save_pretrained(model, folder, processor=processor)
        write_tensors(tensors, folder / OPTIMIZER)

    return write


def restore_weights(model: VLM, folder: Path) -> None:
    """Give a model the weights of a checkpoint and its adapters theirs, read straight to their places.

    Raises:
        CheckpointError: if it is one of another model.
    """
    with without_adapters(model, merged=False):
        named, files = named_tensors(model), WeightFiles.open(folder)
        official = NATIVE not in read_json(folder / "config.json")
        keymap = family_of(model.config).keymap(model.config) if official else NATIVE_KEYMAP
        plan = keymap.plan(files.shapes, {name: tensor.shape for name, tensor in named.items()})
        for name, slots in plan.items():
            for slot in slots:
                read_into(files.entries[slot.theirs], named[name].detach()[slot.index].view(-1))
    if adapters_of(model):
        restore_adapters(model, folder / ADAPTERS)


def restore_optimizer_of(trainer: Trainer, folder: Path) -> None:
    """Give a trainer the optimiser's state of a checkpoint."""
    restore_optimizer(trainer.optimizer, trainer.names, read_tensors(folder / OPTIMIZER))
