"""Attention of every position to every other, as in vision transformers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vlkit.nn.linear import HALF

BLOCK = 16
"""Keys that the fused kernel of CPUs takes at once in half precision; a rest slows it down by half."""


def filled_positions(positions: int, itemsize: int) -> int:
    """Positions of the filled up keys, and of the values, that `attend_all` makes on a CPU; 0 if it makes none."""
    return -(-positions // BLOCK) * BLOCK if itemsize == 2 and positions % BLOCK else 0


def attend_all(q_NHPK: Tensor, k_NHPK: Tensor, v_NHPK: Tensor) -> Tensor:
    """Softmax attention without a mask; float[N, H, P, K].

    On a CPU in half precision, keys and values are filled up to whole blocks with positions that nobody sees.

    Args:
        q_NHPK, k_NHPK, v_NHPK: queries, keys and values float[N, H, P, K].
    """
    missing = -k_NHPK.shape[2] % BLOCK
    if not missing or k_NHPK.device.type != "cpu" or k_NHPK.dtype not in HALF:
        return F.scaled_dot_product_attention(q_NHPK, k_NHPK, v_NHPK)
    unseen = torch.zeros(k_NHPK.shape[2] + missing, dtype=k_NHPK.dtype, device=k_NHPK.device)
    unseen[-missing:] = float("-inf")
    k_NHPK, v_NHPK = (F.pad(x, (0, 0, 0, missing)) for x in (k_NHPK, v_NHPK))
    return F.scaled_dot_product_attention(q_NHPK, k_NHPK, v_NHPK, attn_mask=unseen[None, None, None])
