"""Samples of similar length in one batch, so that less of it is padding."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def by_length(places: Sequence[int], lengths: Sequence[int], size: int, *, seed: int) -> list[list[int]]:
    """Batches of neighbours in length, in an order that depends on the seed alone.

    Args:
        places: samples of a window.
        lengths: tokens of each.
        size: samples of a batch; a rest makes the last one, so that only the last batch can be short.
        seed: of the batches' order.
    """
    ranked = [place for _, place in sorted(zip(lengths, places))]
    whole = len(ranked) - len(ranked) % size
    batches = [ranked[start : start + size] for start in range(0, whole, size)]
    order = torch.randperm(len(batches), generator=torch.Generator().manual_seed(seed % 2**63)).tolist()
    return [batches[number] for number in order] + [ranked[whole:]] * (whole < len(ranked))
