"""Low-rank adapters: put beside the layers of a model, taken away for a moment, and merged into its weights.

The layers are those of the peft library, put beside the linear layers of a model in place. Paper: arXiv:2106.09685.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vlkit.errors import ConfigError
from vlkit.foreign.extras import load_extra, refusals_of
from vlkit.training.adapter_reach import reached_layers
from vlkit.training.groups import ADAPTER_MARK
from vlkit.training.parts import PartTraining
from vlkit.vlm import VLM

ADAPTER = "default"
"""The library's name of the one adapter that a layer has."""


def attach_adapters(model: VLM, parts: Mapping[str, PartTraining], *, seed: int = 0) -> None:
    """Put adapters beside the layers that `reached_layers` names; at first they change nothing.

    Args:
        model: changes in place; without adapters so far.
        parts: as in a recipe.
        seed: of the adapters' first numbers.

    Raises:
        ConfigError: if peft is not installed, the model has adapters already, or as in `reached_layers`.
    """
    found = reached_layers(model, parts)
    if not found:
        return
    if adapters_of(model):
        raise ConfigError("the model has adapters already", remedy="merge them first")
    peft = load_extra("peft", extra="lora", purpose="LoRA")
    with torch.random.fork_rng(), refusals_of("peft", "adapters"):
        torch.manual_seed(seed)
        for part, names in found.items():
            settings, inside = parts[part].lora, model.get_submodule(part)
            assert settings is not None
            below = [name.removeprefix(part).removeprefix(".") for name in names]
            wanted = peft.LoraConfig(
                r=settings.rank,
                lora_alpha=settings.alpha,
                lora_dropout=settings.dropout,
                target_modules="|".join(map(re.escape, below)),
            )
            peft.inject_adapter_in_model(wanted, inside, ADAPTER)
            inside.__dict__.pop("peft_config", None)


def adapters_of(model: nn.Module) -> dict[str, Any]:
    """Layers with an adapter by name."""
    return {name: module for name, module in model.named_modules() if hasattr(module, "get_delta_weight")}


def merge_adapters(model: VLM) -> None:
    """Add what the adapters learned to the weights, and take the adapters away: the model is an ordinary one again."""
    with torch.no_grad():
        for name, layer in adapters_of(model).items():
            base = layer.get_base_layer()
            base.weight.add_(layer.get_delta_weight(ADAPTER).to(base.weight.dtype))
            model.set_submodule(name, base)


@contextmanager
def without_adapters(model: VLM, *, merged: bool) -> Iterator[VLM]:
    """Context in which the model has no adapters, so that it can be saved; afterwards it is as before, bit for bit.

    Args:
        model: with adapters, or without.
        merged: whether what they learned is in the weights meanwhile.
    """
    layers = adapters_of(model)
    kept: dict[str, Tensor] = {}
    try:
        for name, layer in layers.items():
            base = layer.get_base_layer()
            kept[name] = base.weight.data
            if merged:
                base.weight.data = base.weight.data + layer.get_delta_weight(ADAPTER).detach().to(base.weight.dtype)
            model.set_submodule(name, base)
        yield model
    finally:
        for name, weight in kept.items():
            layers[name].get_base_layer().weight.data = weight
            model.set_submodule(name, layers[name])


def adapter_tensors(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters of the adapters by name."""
    return {name: parameter for name, parameter in model.named_parameters() if ADAPTER_MARK in name}
