"""Laws of how a part is built: purely, on `meta` as well, and back from its state dict."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from vlkit.testing.comparing import require_near
from vlkit.testing.law import Broken, law
from vlkit.testing.module_subject import ModuleSubject
from vlkit.testing.state import RANDOM, changes, isolated, read


@law(weights=False, crash="the constructor reads a value (.item(), .tolist(), a comparison in an if)")
def meta(subject: ModuleSubject) -> None:
    """Under `torch.device("meta")` a part takes no memory and has the names and shapes of a real one."""
    with torch.device("meta"):
        part = subject.build()
    real = [name for name, tensor in part.state_dict(keep_vars=True).items() if not tensor.is_meta]
    if real:
        raise Broken(
            f"{', '.join(map(repr, real))} {'takes' if len(real) == 1 else 'take'} memory",
            likely="a tensor is made with an explicit device, or from numpy",
            remedy="leave the device to the caller's `with torch.device(...)`",
        )
    if subject.too_large:
        return
    found, expected = (
        {name: (list(tensor.shape), tensor.dtype) for name, tensor in module.state_dict().items()}
        for module in (part, subject.build())
    )
    if found != expected:
        names = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        raise Broken(
            f"{', '.join(map(repr, names))} differ from those of a real part",
            likely="the constructor asks for the device, or makes some tensors only where there are numbers",
        )


@law(crash="a tensor that no checkpoint fills is needed in forward")
def meta_load(subject: ModuleSubject) -> None:
    """A part that was built on `meta` and filled from a state dict is the part that the state dict is from."""
    part = subject.part()
    with torch.device("meta"):
        empty = subject.build()
    empty.load_state_dict(part.state_dict(), assign=True)
    unfilled = [name for name, tensor in _tensors(empty) if tensor.is_meta]
    if unfilled:
        raise Broken(
            f"{', '.join(map(repr, unfilled))} {'has' if len(unfilled) == 1 else 'have'} no numbers after loading",
            likely="a buffer with persistent=False, or a plain attribute, is computed in the constructor",
            remedy="compute it in forward or as a function, or make it a persistent buffer",
        )
    x = subject.x()
    require_near(
        subject.output(empty.eval(), x),
        subject.output(part, x),
        "a part loaded onto meta gives another result",
        likely="the constructor computes something that the state dict does not hold",
        remedy="compute it in forward, or make it a persistent buffer",
        near=0,
    )


@law()
def state_dict(subject: ModuleSubject) -> None:
    """A fresh part with another's state dict gives the other's results, bit for bit, and forward adds nothing to it."""
    part, x = subject.part(), subject.x()
    saved = copy.deepcopy(part.state_dict())
    expected = subject.output(part, x)
    with isolated(seed=1):
        fresh = subject.build().to(subject.dtype).eval()
    fresh.load_state_dict(saved, strict=True)
    hidden = sorted(_hidden(part))
    require_near(
        subject.output(fresh, x),
        expected,
        "with the same state dict a fresh part gives another result",
        likely=f"{', '.join(map(repr, hidden))} {'is' if len(hidden) == 1 else 'are'} not in the state dict"
        if hidden
        else "the result depends on a number that the state dict does not hold",
        remedy="use nn.Parameter, register_buffer, nn.ModuleList or nn.ParameterList",
        near=0,
    )
    added = sorted(part.state_dict().keys() ^ saved.keys())
    if added:
        raise Broken(
            f"after forward the state dict has other names: {', '.join(map(repr, added))}",
            likely="forward makes parameters or buffers when it runs for the first time",
            remedy="make them in the constructor",
        )


@law()
def pure_building(subject: ModuleSubject) -> None:
    """Building a part draws random numbers, but seeds none, and changes nothing else of the process."""
    ends = []
    for seed in (1, 2):
        with isolated(seed):
            before = read()
            subject.build()
            after = read()
        changed = [change for change in changes(before, after) if change != RANDOM]
        if changed:
            raise Broken(
                f"the constructor changed {', '.join(changed)}",
                likely="a setting of the whole process is made for one part",
                remedy="leave it to the caller",
            )
        ends.append(after[RANDOM])
    if ends[0] == ends[1]:
        raise Broken(
            "after it was built, torch's random numbers are the same, whatever the seed before",
            likely="the constructor calls torch.manual_seed",
            remedy="leave seeds to the caller, or draw with a torch.Generator of one's own",
        )


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters, buffers and tensors that are plain attributes, by their names."""
    yield from module.named_parameters()
    yield from module.named_buffers()
    for prefix, inner in module.named_modules():
        for name, value in vars(inner).items():
            if isinstance(value, Tensor):
                yield f"{prefix}.{name}".removeprefix("."), value


def _hidden(module: nn.Module) -> Iterator[str]:
    """Names of attributes with tensors or modules that the state dict does not hold."""
    for prefix, inner in module.named_modules():
        kept = inner._non_persistent_buffers_set
        attributes: dict[str, Any] = {**vars(inner), **{name: inner._buffers[name] for name in kept}}
        for name, value in attributes.items():
            if not name.startswith("_") and _holds_tensors(value):
                yield f"{prefix}.{name}".removeprefix(".")


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, Tensor):
        return True
    if isinstance(value, nn.Module):
        return False
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(isinstance(entry, Tensor | nn.Module) for entry in values)


BUILDING_LAWS = (meta, meta_load, state_dict, pure_building)
