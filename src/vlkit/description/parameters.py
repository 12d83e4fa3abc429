"""How many parameters each part of a model has, counted on modules that take no memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import nn

from vlkit.decoders.base import Decoder, decoders
from vlkit.description.unknown import add
from vlkit.encoders.base import Encoder, encoders
from vlkit.encoders.supplied import SuppliedEncoderConfig
from vlkit.errors import InputError, did_you_mean
from vlkit.layouts.base import layouts
from vlkit.nn.attention import MHA
from vlkit.nn.mla import MLA
from vlkit.nn.mlp import GatedMLP
from vlkit.nn.moe import Experts, MoE
from vlkit.nn.norm import RMSNorm
from vlkit.nn.router import Router
from vlkit.projectors.base import projectors
from vlkit.projectors.supplied import SuppliedProjectorConfig
from vlkit.vlm_config import VLMConfig

KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    "embedding": (nn.Embedding,),
    "attention": (MHA, MLA),
    "dense MLP": (GatedMLP,),
    "routed experts": (Experts,),
    "shared experts": (),
    "router": (Router,),
    "norms": (RMSNorm, nn.RMSNorm, nn.LayerNorm),
    "head": (),
    "other": (),
}
"""Kind of a decoder's parameters by the outermost module that holds them. Shared experts are the gated MLP beside
routed ones, the head is what the decoder names, or a linear layer of its own, and other is what nothing else names."""


@dataclass(frozen=True)
class Parameters:
    """Parameters of a part.

    Args:
        name: the part, or the kind of its parameters.
        total: number of all; None if unknown.
        active: number without experts that a token does not use, and without an embedding that is no head as well,
            since it is only looked up; None if unknown.
        unused: how many of the active ones no forward pass uses, such as a pooling head.
        parts: what it consists of.
    """

    name: str
    total: int | None
    active: int | None
    unused: int = 0
    parts: tuple[Parameters, ...] = ()

    def __getitem__(self, name: str) -> Parameters:
        """Part or kind of this name.

        Raises:
            InputError: if there is none.
        """
        for part in self.parts:
            if part.name == name:
                return part
        raise InputError(f"{self.name} has no {name!r}; {did_you_mean(name, (part.name for part in self.parts))}")


def count_parameters(config: VLMConfig) -> Parameters:
    """Parameters of the four parts and their sum; those of a part that is passed in as a module are unknown."""
    width, dim = config.encoder.feature_dim, config.decoder.dim
    encoder, projector = Parameters("encoder", None, None), Parameters("projector", None, None)
    with torch.device("meta"):
        if not isinstance(config.encoder, SuppliedEncoderConfig):
            encoder = _of_encoder(encoders.build(config.encoder))
        if not isinstance(config.projector, SuppliedProjectorConfig):
            projector = _of_all("projector", projectors.build(config.projector, in_dim=width, out_dim=dim))
        layout = _of_all("layout", layouts.build(config.layout, dim=dim))
        decoder = _of_decoder(decoders.build(config.decoder))
    return _sum("model", (encoder, projector, layout, decoder))


def _of_all(name: str, module: nn.Module, *, unused: int = 0) -> Parameters:
    total = sum(parameter.numel() for parameter in module.parameters())
    return Parameters(name, total, total, unused)


def _of_encoder(encoder: Encoder) -> Parameters:
    idle = {parameter for module in encoder.idle_modules() for parameter in module.parameters()}
    return _of_all("encoder", encoder, unused=sum(parameter.numel() for parameter in idle))


def _of_decoder(decoder: Decoder) -> Parameters:
    totals: defaultdict[str, int] = defaultdict(int)
    active: defaultdict[str, int] = defaultdict(int)
    seen: set[nn.Parameter] = set()
    for kind, parameter, share in _by_kind(decoder, "", Fraction(1), head=decoder.head):
        if parameter not in seen:
            seen.add(parameter)
            totals[kind] += parameter.numel()
            active[kind] += int(parameter.numel() * share)
    if "head" in totals:
        active["embedding"] = 0
    used: dict[str, int | None] = {**active, "other": None} if decoder.sparse else {**active}
    return _sum("decoder", tuple(Parameters(kind, totals[kind], used[kind]) for kind in KINDS if kind in totals))


def _by_kind(
    module: nn.Module, kind: str, share: Fraction, *, head: nn.Module | None
) -> Iterator[tuple[str, nn.Parameter, Fraction]]:
    """Kind of every parameter, and the share of it that a token uses."""
    for parameter in module.parameters(recurse=False):
        yield kind or "other", parameter, share
    for child in module.children():
        part = share
        if isinstance(module, MoE) and child is module.experts:
            routing = module.router.config
            part *= Fraction(routing.num_experts_per_tok, routing.n_routed_experts)
        named = "head" if child is head else _kind_of(child, module)
        yield from _by_kind(child, kind or named, part, head=head)


def _kind_of(module: nn.Module, parent: nn.Module) -> str:
    if isinstance(parent, MoE) and module is parent.shared_experts:
        return "shared experts"
    if isinstance(parent, Decoder) and isinstance(module, nn.Linear):
        return "head"
    return next((kind for kind, classes in KINDS.items() if isinstance(module, classes)), "")


def _sum(name: str, parts: tuple[Parameters, ...]) -> Parameters:
    total, active = add(part.total for part in parts), add(part.active for part in parts)
    return Parameters(name, total, active, sum(part.unused for part in parts), parts)
