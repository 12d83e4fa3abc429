"""Random weights at the speed of copying, for models that are only timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

BLOCK = 1_000_003
"""Numbers that are drawn; longer tensors repeat them. A prime, so that no two pages of memory look the same soon."""
DRAWING = (torch.ops.aten.normal_.default, torch.ops.aten.uniform_.default)


class _Repeating(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in DRAWING or not _is_long(args[0]):
            return func(*args, **kwargs)
        tensor: Tensor = args[0]
        flat, whole = tensor.view(-1), tensor.numel() // BLOCK * BLOCK
        func(flat[:BLOCK], *args[1:], **kwargs)
        flat[BLOCK:whole].view(-1, BLOCK).copy_(flat[:BLOCK].expand(whole // BLOCK - 1, BLOCK))
        flat[whole:].copy_(flat[: len(flat) - whole])
        return tensor


def _is_long(tensor: Tensor) -> bool:
    return tensor.numel() > BLOCK and tensor.is_contiguous() and not tensor.is_meta


@contextmanager
def repeated_random() -> Iterator[None]:
    """Context in which long tensors are filled with a million drawn numbers, over and over.

    Every number of the memory is written, each module initialises itself as ever, and the distribution is the one that
    it asks for, so that routing and rounding are those of independent weights. Works for other libraries' modules too.
    """
    with _Repeating():  # type: ignore[no-untyped-call]
        yield
