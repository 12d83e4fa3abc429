"""Attention of few queries on a CPU that multiplies no matrices in half precision."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from einops import rearrange
from torch import Tensor

from vlkit.nn.linear import BLOCK, widens

MOST = 4
"""Queries per head of keys up to which PyTorch's fused attention is slower there."""


def widens_keys(q_BHTK: Tensor, k_BGSK: Tensor) -> bool:
    """Whether `attend_widened` is the faster way on this machine; it is not for gradients."""
    queries = q_BHTK.shape[1] // k_BGSK.shape[1] * q_BHTK.shape[2]
    return queries <= MOST and widens(q_BHTK, k_BGSK)


def attend_widened(q_BHTK: Tensor, k_BGSK: Tensor, v_BGSV: Tensor, *, mask_BTS: Tensor | None, scale: float) -> Tensor:
    """Softmax attention in float32, keys and values widened one block of positions after the other.

    Args:
        q_BHTK: queries.
        k_BGSK: keys, one per group of query heads.
        v_BGSV: their values.
        mask_BTS: bool[B, T, S], True where a query sees a key; None: all see all.
        scale: factor on the scores.

    Returns:
        y_BHTV: float[B, H, T, V].
    """
    groups, new = k_BGSK.shape[1], q_BHTK.shape[2]
    positions = max(1, BLOCK // max(k_BGSK[:, :, 0].numel(), v_BGSV[:, :, 0].numel()))
    q_BGMK = rearrange(q_BHTK.float() * scale, "b (g h) t k -> b g (h t) k", g=groups)
    scores_BGMS = torch.cat([q_BGMK @ k.mT for k in widened_blocks(k_BGSK, positions)], dim=-1)
    if mask_BTS is not None:
        mask_BMS = mask_BTS.repeat(1, q_BGMK.shape[2] // new, 1)
        scores_BGMS = scores_BGMS.masked_fill(~mask_BMS[:, None], float("-inf"))
    weights = scores_BGMS.softmax(dim=-1).split(positions, dim=-1)
    parts = [part @ v for part, v in zip(weights, widened_blocks(v_BGSV, positions), strict=True)]
    return rearrange(sum(parts[1:], parts[0]), "b g (h t) v -> b (g h) t v", t=new).to(q_BHTK.dtype)


def widened_blocks(x_BGSK: Tensor, positions: int) -> Iterator[Tensor]:
    """So many positions after the other in float32, each block in the memory of the one before."""
    batch, groups, seen, width = x_BGSK.shape
    wide = torch.empty(batch, groups, min(positions, seen), width, device=x_BGSK.device)
    for block in x_BGSK.split(positions, dim=2):
        yield wide[:, :, : block.shape[2]].copy_(block)
