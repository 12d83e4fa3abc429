"""Building models of other libraries: bounded, and under `torch.device("meta")` with tables that hold numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registration
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from vlkit.errors import ConfigError
from vlkit.foreign.tables import tables

MAX_MODULES = 2**15
"""Most modules of a model, so that no config of unknown origin can exhaust memory with them."""
MAX_TABLE_BYTES = 2**30
"""Most bytes of its tables, likewise."""
DEVICE = Tensor.device.__get__
"""What torch runs to read a tensor's device."""


def survey(make: Callable[[], Any]) -> Any:
    """The module that `make` builds, without memory for anything, to look at.

    Raises:
        ConfigError: if it has too many modules or too large tables.
    """
    with torch.device("meta"), _bounded():
        module = make()
    size = sum(table.tensor.nbytes for table in tables(module))
    if size > MAX_TABLE_BYTES:
        raise ConfigError(
            f"{type(module).__name__} computes tables of {size:,} bytes",
            rule=f"they take at most {MAX_TABLE_BYTES:,} bytes",
            remedy="use smaller pictures, or fewer positions",
        )
    return module


def build(make: Callable[[], Any]) -> Any:
    """The module that `make` builds where torch's default device is; on meta, its tables are on the CPU.

    Raises:
        ConfigError: if it has too many modules or, on meta, too large tables.
    """
    if torch.get_default_device().type != "meta":
        with _bounded():
            module = make()
    elif tables(module := survey(make)):
        with torch.device("cpu"), _parameters_on_meta(), _ParametersSayCPU():
            module = make()
        for owner in module.modules():
            for name, tensor in owner.named_buffers(recurse=False):
                if name not in owner._non_persistent_buffers_set:
                    owner._buffers[name] = tensor.to("meta")
    return module


@contextmanager
def _bounded() -> Iterator[None]:
    """Context in which a thread registers at most `MAX_MODULES` modules."""
    builder, count = threading.get_ident(), 0

    def check(parent: nn.Module, name: str, child: Any) -> None:
        nonlocal count
        if threading.get_ident() != builder:
            return
        count += 1
        if count > MAX_MODULES:
            raise ConfigError(
                f"a model with {type(parent).__name__} has over {MAX_MODULES:,} modules",
                rule="a model has fewer",
                remedy="correct the number of layers",
            )

    handle = registration.register_module_module_registration_hook(check)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Context in which a thread's parameters lose their memory as they are registered; a shared one stays shared."""
    builder, known = threading.get_ident(), WeakIdKeyDictionary()

    def release(module: nn.Module, name: str, parameter: nn.Parameter | None) -> Any:
        if parameter is None or parameter.is_meta or threading.get_ident() != builder:
            return None
        if parameter not in known:
            known[parameter] = nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)
        return known[parameter]

    handle = registration.register_module_parameter_registration_hook(release)
    try:
        yield
    finally:
        handle.remove()


class _ParametersSayCPU(TorchFunctionMode):
    """Context in which everything says that it is on the CPU, so that tables are computed there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return torch.device("cpu") if func == DEVICE else func(*args, **(kwargs or {}))
