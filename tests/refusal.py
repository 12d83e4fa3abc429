"""Proof that bad input is refused early: nothing is allocated, no layer runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from vlkit.errors import ConfigError, VlkitError


class NoTensors(TorchDispatchMode):
    """Context in which no tensor can be made or computed with."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} was called")


@contextmanager
def refused(message: str, error: type[VlkitError] = ConfigError) -> Iterator[None]:
    """The block raises this error with a message that matches, and touches no tensor before."""
    with pytest.raises(error, match=message), NoTensors():  # type: ignore[no-untyped-call]
        yield


def refuse_to_run(module: nn.Module, args: Any) -> None:
    """Forward pre-hook of modules that must not run."""
    raise AssertionError(f"{type(module).__name__} runs")
