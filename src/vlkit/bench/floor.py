"""The floor: how fast this machine reads memory and multiplies matrices, and the least time that work takes with it.

The roofline model: Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", Communications of the ACM 52(4), 2009.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from vlkit.bench.timing import Clock

READ_BYTES = {"cpu": 2**30, "cuda": 2**32}
"""Bytes that are read: several times what caches hold."""
PRODUCTS = {
    "cpu": ((4096, 4096, 4096), (1024, 2048, 8192), (2048, 2048, 2048)),
    "cuda": ((8192, 8192, 8192), (4096, 4096, 4096)),
}
"""Sizes of matrix products; the fastest one counts."""


class Work(NamedTuple):
    """What work takes at least.

    Args:
        flops: floating-point operations in matrix products; None if unknown.
        nbytes: bytes that are read; None if unknown.
    """

    flops: int | None
    nbytes: int | None


@dataclass(frozen=True)
class Floor:
    """Best rates that were measured with the library's own means, one large operation at a time.

    Args:
        read: bytes per second that are read from memory.
        multiply: floating-point operations per second in products of matrices of `dtype`.
        dtype: type of the matrices.
    """

    read: float
    multiply: float
    dtype: str

    def __str__(self) -> str:
        return f"reads {self.read / 1e9:.1f} GB/s, multiplies {self.multiply / 1e12:.2f} TFLOP/s in {self.dtype}"

    def seconds(self, work: Work) -> float | None:
        """Least seconds for this work: its operations or its bytes, whichever take longer; None if neither is known."""
        flops, nbytes = (work.flops or 0) / self.multiply, (work.nbytes or 0) / self.read
        return max(flops, nbytes) or None

    def bound(self, work: Work) -> Literal["compute", "memory"] | None:
        """Which of the two takes longer."""
        if self.seconds(work) is None:
            return None
        return "compute" if (work.flops or 0) / self.multiply >= (work.nbytes or 0) / self.read else "memory"


def measure_floor(
    device: torch.device,
    dtype: torch.dtype,
    *,
    read_bytes: int | None = None,
    products: tuple[tuple[int, int, int], ...] | None = None,
    runs: int = 5,
) -> Floor:
    """Measure the two rates on a device.

    Args:
        device: where.
        dtype: type of the matrices.
        read_bytes: bytes that are read; None: enough for the caches not to matter.
        products: rows, inner width and columns of the products; None: sizes that suit the device.
        runs: how often each is measured; the shortest time counts.
    """
    clock = Clock(device)
    kind = "cpu" if device.type == "cpu" else "cuda"
    nbytes = READ_BYTES[kind] if read_bytes is None else read_bytes
    read = max(nbytes / min(clock.repeat(work, runs=runs)) for work in _readings(nbytes, device))
    multiply = 0.0
    for rows, inner, cols in PRODUCTS[kind] if products is None else products:
        left, right = (torch.ones(shape, dtype=dtype, device=device) for shape in ((rows, inner), (cols, inner)))
        seconds = min(min(clock.repeat(work, runs=runs)) for work in _multiplications(left, right))
        multiply = max(multiply, 2 * rows * inner * cols / seconds)
    return Floor(read=read, multiply=multiply, dtype=str(dtype).removeprefix("torch."))


def _multiplications(left: Tensor, right: Tensor) -> tuple[Callable[[], object], ...]:
    """Ways of multiplying float[rows, inner] with float[cols, inner].

    On a CPU without instructions for products in half precision it is faster to widen both first.
    """
    plain = partial(torch.mm, left, right.T, out=left.new_empty(len(left), len(right)))
    if left.device.type == "cpu" and left.dtype.itemsize == 2:
        return plain, lambda: torch.mm(left.float(), right.float().T)
    return (plain,)


def _readings(nbytes: int, device: torch.device) -> tuple[Callable[[], object], ...]:
    """Ways of reading the same memory once; which is fastest depends on the device and the library's build."""
    width = 4096
    numbers = torch.ones(max(nbytes // 4 // width, 1), width, device=device)
    vector = torch.ones(width, device=device)
    return (numbers.sum, lambda: torch.mv(numbers, vector), lambda: torch.dot(numbers.view(-1), numbers.view(-1)))
