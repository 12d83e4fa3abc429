"""Numbers that depend on a seed alone, and how near two results must come."""

from __future__ import annotations

import torch
from torch import Tensor

from vlkit.testing.law import Broken

NEAR = {torch.float64: 1e-8, torch.float32: 1e-3, torch.bfloat16: 0.1}
"""Largest difference of two orders of the same sums, relative to the largest number."""
ROTATED = 1e-4
"""The same behind rotary tables for different positions, which are float32 whatever the dtype."""
AUTOCAST = 0.25
"""Root mean square of what bfloat16 changes, relative to that of the result; some experts may be others."""


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal numbers that depend on the seed alone, on the CPU."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64, device="cpu").to(dtype)


def difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference relative to the largest expected number, or to 1; infinite if numbers are not finite."""
    if expected.numel() == 0:
        return 0.0
    if not bool(found.isfinite().all() & expected.isfinite().all()):
        return float("inf")
    scale = max(1.0, expected.abs().max().item())
    return (found.double() - expected.double()).abs().max().item() / scale


def require_near(
    found: Tensor, expected: Tensor, what: str, *, likely: str, remedy: str | None = None, near: float | None = None
) -> None:
    """Raise `Broken` unless two results are the same numbers.

    Args:
        found: one result.
        expected: the other one.
        what: sentence that begins the message, "other samples change the result" say.
        likely: the mistake that most often causes a difference.
        remedy: what to do about it.
        near: largest relative difference; None: that of another order of the same sums in this dtype, 0: none at all.
    """
    limit = NEAR.get(expected.dtype, 0.1) if near is None else near
    found, expected = found.detach(), expected.detach()
    if found.shape != expected.shape:
        raise Broken(f"{what}: shape {list(found.shape)}, not {list(expected.shape)}", likely=likely, remedy=remedy)
    apart = difference(found, expected)
    if apart > limit:
        size = "by numbers that are not finite" if apart == float("inf") else f"by {apart:.2g} of the largest number"
        place = torch.unravel_index((found.double() - expected.double()).abs().nan_to_num().argmax(), found.shape)
        where = f"most at {[int(index) for index in place]} of {list(found.shape)}"
        raise Broken(f"{what}, {size}, {where}", likely=likely, remedy=remedy)
