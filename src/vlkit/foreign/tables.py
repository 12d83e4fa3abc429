"""Tables: what models of other libraries compute in their constructors and keep out of checkpoints.

Rotary frequencies and indices of relative positions are such buffers. No checkpoint fills them, so they hold numbers
even while the parameters take no memory, and follow these to their device when they are loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self

from torch import Tensor, nn


class Table(NamedTuple):
    """A buffer that is in no checkpoint.

    Args:
        owner: the module that holds it.
        name: its name there.
        tensor: its numbers.
    """

    owner: nn.Module
    name: str
    tensor: Tensor


def tables(module: nn.Module) -> list[Table]:
    """All tables of a module."""
    return [
        Table(owner, name, tensor)
        for owner in module.modules()
        for name, tensor in owner.named_buffers(recurse=False)
        if name in owner._non_persistent_buffers_set
    ]


def move_tables(module: nn.Module, incompatible_keys: Any = None) -> None:
    """Bring the tables to the device of the parameters, unless those take no memory; a hook after loading."""
    first = next(module.parameters(), None)
    if first is not None and not first.is_meta:
        for owner, name, tensor in tables(module):
            owner._buffers[name] = tensor.to(first.device)


def round_tables(module: nn.Module, incompatible_keys: Any = None) -> None:
    """The same, and give those with fractions the type of the parameters."""
    move_tables(module)
    first = next((parameter for parameter in module.parameters() if parameter.is_floating_point()), None)
    for owner, name, tensor in tables(module):
        if first is not None and tensor.is_floating_point():
            owner._buffers[name] = tensor.to(first.dtype)


class PreciseTables(nn.Module):
    """Base of modules whose tables keep their type when `to` rounds the weights, since positions get lost otherwise."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = tables(self)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for owner, name, tensor in before:
            owner._buffers[name] = tensor.to(getattr(owner, name).device)
        return self
