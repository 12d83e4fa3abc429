"""How each part of a model trains, by the names of its modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import nn

from vlkit.config import Config
from vlkit.encoders.base import Encoder
from vlkit.errors import ConfigError, did_you_mean
from vlkit.training.lora_config import LoraConfig
from vlkit.vlm import VLM

Rate = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
PARTS = ("encoder", "projector", "layout", "decoder")
"""The parts of a model, in the order of the forward pass."""


class PartTraining(Config):
    """How one part of a model trains."""

    train: bool = True
    """Whether its weights change; false keeps them as they are."""
    weights: str | None = Field(default=None, min_length=1)
    """Checkpoint whose part of the same config it begins with: a folder, a hub id, or the name of a model that comes
    with vlkit. Only for one of the four parts; None: fresh, or as the recipe's model has them."""
    lr: Rate | None = None
    """Highest learning rate; None: the recipe's."""
    weight_decay: Rate | None = None
    """Decay of its matrices; None: the recipe's."""
    lora: LoraConfig | None = None
    """Low-rank adapters beside its linear layers, which train in place of its weights; needs the extra `lora`."""


def owner(name: str, parts: Mapping[str, PartTraining]) -> str:
    """Longest name in `parts` that a module or parameter belongs to, or else the name of its part."""
    matching = [part for part in parts if name == part or name.startswith(f"{part}.")]
    return max(matching, key=len, default=name.partition(".")[0])


def require_known(model: VLM, parts: Mapping[str, PartTraining]) -> None:
    """Refuse names that the model has not.

    Raises:
        ConfigError: naming the nearest.
    """
    known = {name for name, _ in model.named_modules() if name} | {name for name, _ in model.named_parameters()}
    for part in parts:
        if part not in known:
            nearest = did_you_mean(part, known if "." in part else PARTS)
            raise ConfigError(
                f"the model has no part {part!r:.80}; {nearest}",
                rule='a part is one of the four, or a module inside one of them, such as "decoder.lm_head"',
            )


def idle_modules(model: VLM) -> tuple[nn.Module, ...]:
    """Modules of the encoder that are never run; a plain module of the user's own is taken to run all of its own."""
    return tuple(model.encoder.idle_modules()) if isinstance(model.encoder, Encoder) else ()
