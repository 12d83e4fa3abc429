"""Parts that begin with the weights of a checkpoint, while the others begin fresh."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from vlkit.checkpoint.hub import resolve_folder
from vlkit.errors import ConfigError
from vlkit.models.auto import from_pretrained, resolve_config
from vlkit.training.parts import PARTS, PartTraining
from vlkit.training.run_folder import differing_fields
from vlkit.vlm import VLM
from vlkit.vlm_config import VLMConfig


def beginnings(parts: Mapping[str, PartTraining]) -> dict[str, str]:
    """Checkpoint of each part that begins with one."""
    return {name: training.weights for name, training in parts.items() if training.weights is not None}


def require_same_parts(config: VLMConfig, parts: Mapping[str, PartTraining]) -> None:
    """Refuse weights of another part, while none are read.

    Args:
        config: of the model that gets them.
        parts: how each part trains.

    Raises:
        ConfigError: if the checkpoint's part has another config, naming the fields, or the name is that of no part.
        CheckpointError: if there is no such checkpoint.
    """
    for name, checkpoint in beginnings(parts).items():
        if name not in PARTS:
            raise ConfigError(
                f"weights {checkpoint!r:.80} for {name!r:.80}",
                rule=f"only whole parts begin with those of a checkpoint: {', '.join(PARTS)}",
                remedy=f"name it for {name.partition('.')[0]!r:.80}, or leave weights out",
            )
        theirs, ours = (
            getattr(each, name).model_dump(mode="json", exclude_none=True)
            for each in (resolve_config(resolve_folder(checkpoint, weights=False)), config)
        )
        changed = list(differing_fields("", theirs, ours))
        if changed:
            raise ConfigError(
                f"the {name} of {checkpoint!r:.80} is another one: {', '.join(changed[:8])}",
                rule="weights go into a part of the config that they were learned with",
                remedy=f"give the model's {name} these fields, or leave weights out of parts.{name}",
            )


def load_parts(model: VLM, parts: Mapping[str, PartTraining]) -> None:
    """Copy the weights of checkpoints into the parts that begin with them.

    Args:
        model: in float32; its other parts stay as they are.
        parts: how each part trains, checked by `require_same_parts`.
    """
    chosen = beginnings(parts)
    for checkpoint in dict.fromkeys(chosen.values()):
        trained = from_pretrained(checkpoint, dtype=torch.float32)
        for name in (name for name, each in chosen.items() if each == checkpoint):
            getattr(model, name).load_state_dict(getattr(trained, name).state_dict())
