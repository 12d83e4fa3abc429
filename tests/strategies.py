"""What the tests draw from: the library's own strategies, seeds, and numbers that follow from a seed."""

import torch
from hypothesis import strategies as st
from torch import Tensor

from tests.small_parts import REGISTRIES, SMALL, UNDRAWABLE
from vlkit.testing.strategies import configs, cuts, grids, left_padded, register_configs

__all__ = ["configs", "cuts", "grids", "left_padded", "normal", "seeds"]

for kind, tag in UNDRAWABLE:
    config_class = REGISTRIES[kind][tag]
    register_configs(config_class, st.sampled_from(SMALL[kind][tag]).map(config_class.model_validate))

seeds = st.integers(0, 2**32 - 1)


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Standard normal numbers that depend on the seed alone."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
