"""The state of the process that a part must leave alone: seen, compared, put back."""

from __future__ import annotations

import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from vlkit.cache.base import cache_policies
from vlkit.decoders.base import decoders
from vlkit.encoders.base import encoders
from vlkit.layouts.base import layouts
from vlkit.projectors.base import projectors

REGISTRIES = (encoders, projectors, layouts, decoders, cache_policies)
RANDOM = "torch's random numbers"
SEED = 20_240_115


def tags() -> dict[str, tuple[str, ...]]:
    """Tags of all kinds; a plug-in that does not load is told, but is not the fault of the part that is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return {registry.kind: tuple(registry) for registry in REGISTRIES}


_READERS: dict[str, Callable[[], Any]] = {
    RANDOM: lambda: bytes(torch.get_rng_state().tolist()),
    "the default dtype": torch.get_default_dtype,
    "the default device": lambda: str(torch.get_default_device()),
    "the gradient mode": torch.is_grad_enabled,
    "deterministic algorithms": lambda: (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    ),
    "cudnn.deterministic": lambda: torch.backends.cudnn.deterministic,
    "cudnn.benchmark": lambda: torch.backends.cudnn.benchmark,
    "float32 matmul precision": torch.get_float32_matmul_precision,
    "the number of threads": torch.get_num_threads,
    "autocast": lambda: (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
    "anomaly detection": torch.is_anomaly_enabled,
    "the environment": lambda: dict(os.environ),
    "Python's random numbers": random.getstate,
}


def read() -> dict[str, Any]:
    """The state, by the names that messages use; numpy's random numbers only if numpy is loaded."""
    state = {name: reader() for name, reader in _READERS.items()}
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        kind, keys, *rest = numpy.random.get_state()
        state["numpy's random numbers"] = (kind, keys.tobytes(), *rest)
    return state


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What of `before` is another now, with values where they are short."""
    return [_change(name, old, after[name]) for name, old in before.items() if after[name] != old]


def _change(name: str, old: Any, new: Any) -> str:
    if name == "the environment":
        names = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        return f"{name} ({', '.join(names)})"
    if "random" in name:
        return name
    return f"{name} ({old} became {new})"


@contextmanager
def isolated(seed: int = SEED) -> Iterator[None]:
    """Context on the CPU in float32 with this seed, that puts everything back at its end, whatever was done to it."""
    before = read()
    torch.set_default_dtype(torch.float32)
    if before["the default device"] != "cpu":
        torch.set_default_device("cpu")
    numpy = sys.modules.get("numpy")
    numpy_state = None if numpy is None else numpy.random.get_state()
    rng = torch.get_rng_state()
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
            torch.default_generator.manual_seed(seed)
            yield
    finally:
        _put_back(before)
        torch.set_rng_state(rng)
        if numpy is not None:
            numpy.random.set_state(numpy_state)


def _put_back(before: dict[str, Any]) -> None:
    """Undo what was changed, and only that: some of the setters load much of torch."""
    after = read()
    for name, restore in _RESTORERS.items():
        if after[name] != before[name]:
            restore(before[name])


def _restore_environment(names: dict[str, str]) -> None:
    for name in os.environ.keys() - names.keys():
        del os.environ[name]
    os.environ.update(names)


def _restore_autocast(setting: tuple[bool, torch.dtype]) -> None:
    torch.set_autocast_enabled("cpu", setting[0])
    torch.set_autocast_dtype("cpu", setting[1])


def _restore_anomaly(enabled: bool) -> None:
    torch.autograd.set_detect_anomaly(enabled)


_RESTORERS: dict[str, Callable[[Any], None]] = {
    "the default dtype": torch.set_default_dtype,
    "the default device": torch.set_default_device,
    "deterministic algorithms": lambda flags: torch.use_deterministic_algorithms(flags[0], warn_only=flags[1]),
    "cudnn.deterministic": lambda flag: setattr(torch.backends.cudnn, "deterministic", flag),
    "cudnn.benchmark": lambda flag: setattr(torch.backends.cudnn, "benchmark", flag),
    "float32 matmul precision": torch.set_float32_matmul_precision,
    "the number of threads": torch.set_num_threads,
    "autocast": _restore_autocast,
    "anomaly detection": _restore_anomaly,
    "the environment": _restore_environment,
    "Python's random numbers": random.setstate,
}
"""Random numbers of torch and numpy and the gradient mode are put back in any case."""
