"""The order in which samples are given: shuffled anew in every epoch, as a function of the seed and the place."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


class Order:
    """Number of the sample at each place of an endless row of epochs.

    Args:
        count: samples of an epoch; None: a source without end, whose samples are taken as they come.
        seed: of the shuffling.
        shuffle: whether an epoch is shuffled.
    """

    def __init__(self, count: int | None, *, seed: int, shuffle: bool = True) -> None:
        self.count, self.seed, self.shuffle = count, seed, shuffle

    def index(self, place: int) -> int:
        """Number of the sample at `place`."""
        if self.count is None:
            return place
        epoch, place = divmod(place, self.count)
        return int(permutation(self.count, self.seed, epoch)[place]) if self.shuffle else place


@lru_cache(maxsize=4)
def permutation(count: int, seed: int, epoch: int) -> Tensor:
    """Numbers from 0 to `count - 1` in an order that depends on seed and epoch alone, int64[count]."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    return torch.randperm(count, generator=generator)
