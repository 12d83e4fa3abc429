"""Running a stack of blocks, with or without keeping what the backward pass needs. Paper: arXiv:1604.06174."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def run_blocks(blocks: Iterable[nn.Module], x: Tensor, *, recompute: bool) -> Tensor:
    """Output of the last block.

    Args:
        blocks: run one after the other.
        x: input of the first one.
        recompute: whether the backward pass runs each block again, so that only the blocks' inputs are kept.
    """
    for block in blocks:
        x = checkpoint(block, x, use_reentrant=False) if recompute and torch.is_grad_enabled() else block(x)
    return x
