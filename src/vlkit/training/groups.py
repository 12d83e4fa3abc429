"""Which parameters of a model train, at which rate and with which decay, part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from vlkit.errors import ConfigError
from vlkit.nn.router import Router
from vlkit.training.parts import PARTS, PartTraining, idle_modules, owner, require_known
from vlkit.vlm import VLM

ADAPTER_MARK = ".lora_"
"""In the names of an adapter's parameters, and in no other."""


@dataclass(frozen=True)
class Group:
    """Parameters of one part that share a rate and a decay.

    Args:
        part: name that the recipe gives the part: "decoder", "decoder.lm_head".
        names: of the parameters, as in the model.
        parameters: themselves.
        lr: learning rate; 0 if frozen.
        weight_decay: decay; 0 for norms, biases and other vectors.
        trains: whether they change.
    """

    part: str
    names: tuple[str, ...]
    parameters: tuple[nn.Parameter, ...]
    lr: float
    weight_decay: float
    trains: bool = True

    @property
    def count(self) -> int:
        """Numbers in all parameters."""
        return sum(parameter.numel() for parameter in self.parameters)


def parameter_groups(model: VLM, parts: Mapping[str, PartTraining], *, lr: float, weight_decay: float) -> list[Group]:
    """Groups of all parameters; the frozen ones of a part, whose gradients are turned off, are one group.

    Norms, biases and separators (vectors) have no decay. Correction biases of routers and modules that are never run
    stay frozen.

    Args:
        model: whose parameters' `requires_grad` is set; with adapters, these train and what they stand beside does not.
        parts: by the name of a part, or of any module inside it; the longest name counts. Parts that are not named
            train with the recipe's values.
        lr: the recipe's learning rate.
        weight_decay: the recipe's decay.

    Raises:
        ConfigError: if a name is no module of the model, or nothing trains.
    """
    require_known(model, parts)
    fixed = _fixed(model)
    found: dict[tuple[str, bool, bool], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in model.named_parameters():
        part = owner(name, parts)
        own = parts.get(part, PartTraining())
        trains = own.train and id(parameter) not in fixed and (own.lora is None or ADAPTER_MARK in name)
        parameter.requires_grad_(trains)
        decays = trains and parameter.ndim > 1 and not name.startswith("layout.")
        found.setdefault((part, trains, decays), []).append((name, parameter))
    groups = [
        _group(part, members, parts.get(part, PartTraining()), lr, weight_decay, trains=trains, decays=decays)
        for (part, trains, decays), members in sorted(found.items(), key=lambda item: _rank(*item[0]))
    ]
    if not any(group.trains for group in groups):
        raise ConfigError("no part trains", remedy="leave train out for one of them, or give it lora")
    return groups


def trainable_table(groups: Sequence[Group]) -> str:
    """Text that says what trains: a line per group with the number of parameters, rate and decay, then the sums."""
    rows = [("part", "parameters", "rate", "decay")]
    rows += [
        (
            group.part,
            f"{group.count:,}",
            *((f"{group.lr:g}", f"{group.weight_decay:g}") if group.trains else ("frozen", "")),
        )
        for group in groups
    ]
    total, training = sum(group.count for group in groups), sum(group.count for group in groups if group.trains)
    rows.append(("trains", f"{training:,}", f"of {total:,}", f"{training / max(total, 1):.1%}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def _group(
    part: str,
    members: Sequence[tuple[str, nn.Parameter]],
    own: PartTraining,
    lr: float,
    weight_decay: float,
    *,
    trains: bool,
    decays: bool,
) -> Group:
    decay = weight_decay if own.weight_decay is None else own.weight_decay
    return Group(
        part=part,
        names=tuple(name for name, _ in members),
        parameters=tuple(parameter for _, parameter in members),
        lr=(lr if own.lr is None else own.lr) if trains else 0.0,
        weight_decay=decay if trains and decays else 0.0,
        trains=trains,
    )


def _rank(part: str, trains: bool, decays: bool) -> tuple[int, str, bool, bool]:
    first = part.partition(".")[0]
    return (PARTS.index(first) if first in PARTS else len(PARTS)), part, not trains, not decays


def _fixed(model: VLM) -> set[int]:
    """Parameters that no gradient changes."""
    biases = [
        module.e_score_correction_bias
        for module in model.modules()
        if isinstance(module, Router) and hasattr(module, "e_score_correction_bias")
    ]
    idle = [parameter for module in idle_modules(model) for parameter in module.parameters()]
    return {id(parameter) for parameter in (*biases, *idle)}
