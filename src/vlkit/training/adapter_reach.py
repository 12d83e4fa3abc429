"""Which linear layers of a model get an adapter."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from vlkit.errors import ConfigError, did_you_mean
from vlkit.nn.mla import MLA
from vlkit.training.lora_config import LoraConfig
from vlkit.training.parts import PartTraining, idle_modules, owner, require_known
from vlkit.vlm import VLM

UNCALLED = nn.modules.linear.NonDynamicallyQuantizableLinear
"""Linear layers of torch's own attention, which reads their weights."""


def reached_layers(model: VLM, parts: Mapping[str, PartTraining]) -> dict[str, list[str]]:
    """Names of the linear layers that get an adapter, for each part that has some.

    Routed experts are stacked tensors, no linear layers, and stay as they are. So does what others read in place of
    calling it, since an adapter would be passed over: the head, and `kv_b_proj` of latent attention.

    Args:
        model: without adapters.
        parts: as in a recipe.

    Raises:
        ConfigError: if a name is no module of the model, or settings reach no layer.
    """
    require_known(model, parts)
    passed_over = _passed_over(model)
    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not isinstance(module, UNCALLED) and name not in passed_over
    ]
    found = {}
    for part, training in parts.items():
        if training.lora is not None:
            own = [name for name in layers if owner(name, parts) == part]
            found[part] = _chosen(own, training.lora, part)
    return found


def _passed_over(model: VLM) -> set[str]:
    """Names of layers that are not called, or not at all needed."""
    heads = {id(model.decoder.head), id(getattr(model.decoder, "lm_head", None))} - {id(None)}
    idle = {id(child) for module in idle_modules(model) for child in module.modules()}
    names = set()
    for name, module in model.named_modules():
        if id(module) in heads | idle:
            names.add(name)
        if isinstance(module, MLA):
            names.add(f"{name}.kv_b_proj")
    return names


def _chosen(layers: list[str], settings: LoraConfig, part: str) -> list[str]:
    reach = settings.reach
    if isinstance(reach, tuple):
        for ending in reach:
            if not any(_ends(name, ending) for name in layers):
                known = {name.rpartition(".")[2] for name in layers}
                raise ConfigError(
                    f"lora.reach {ending!r:.80} ends no linear layer's name in {part}; {did_you_mean(ending, known)}",
                    rule="adapters stand beside linear layers, but not beside routed experts, which are stacked "
                    "tensors, the head, or kv_b_proj of latent attention",
                )
        chosen = [name for name in layers if any(_ends(name, ending) for ending in reach)]
    else:
        chosen = [name for name in layers if reach == "all" or _in_attention(name) == (reach == "attention")]
    if not chosen:
        raise ConfigError(f"lora.reach {reach!r} finds no linear layer in {part}", remedy='reach = "all", or no lora')
    return chosen


def _ends(name: str, ending: str) -> bool:
    return name == ending or name.endswith(f".{ending}")


def _in_attention(name: str) -> bool:
    return any("attn" in step or "attention" in step for step in name.split("."))
