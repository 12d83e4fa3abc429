"""Multi-head and grouped-query attention, and the masked attention that all variants share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from vlkit.cache.layer import LayerCache
from vlkit.config import Config, Count, Width
from vlkit.nn.few_queries import attend_widened, widens_keys
from vlkit.nn.linear import Linear
from vlkit.nn.rope import Rotation, rotate

ROTATION_BYTES = 12
"""Scratch per rotated number: its float32 copy, and products that take as much twice."""


class MHAConfig(Config):
    """Multi-head attention; fewer key/value heads than query heads make it grouped-query attention."""

    type: Literal["mha"] = "mha"
    """Tag of the attention."""
    num_attention_heads: Count = 10
    """Query heads H."""
    num_key_value_heads: Count | None = None
    """Key/value heads G, a divisor of H; None: as many as query heads."""
    head_dim: Width | None = None
    """Width K of a head; None: decoder width / query heads."""
    attention_bias: bool = False
    """Whether the four projections have biases."""

    @property
    def kv_heads(self) -> int:
        """Key/value heads G."""
        return self.num_key_value_heads or self.num_attention_heads

    def head_width(self, dim: int) -> int:
        """Width K of a head in a decoder of width `dim`."""
        return self.head_dim or dim // self.num_attention_heads

    def rope_dim(self, dim: int) -> int:
        """Rotated width of a head."""
        return self.head_width(dim)

    def cached_vectors(self, dim: int) -> Mapping[int, int]:
        """Vectors that the cache keeps per token and layer: how many of each width."""
        return {self.head_width(dim): 2 * self.kv_heads}

    def cached_values(self, dim: int) -> int:
        """Numbers that the cache keeps per token and layer."""
        return sum(width * count for width, count in self.cached_vectors(dim).items())

    def forward_flops(self, dim: int, *, new: int, seen: int) -> int:
        """Floating-point operations of `new` queries on `seen` positions, a multiply-add being two.

        The four projections take `T D (2 H + 2 G) K` multiply-adds, scores and values `2 T S H K`: every query with
        every position, though a kernel may skip those that the mask hides.
        """
        queries, keys = self.num_attention_heads * self.head_width(dim), self.kv_heads * self.head_width(dim)
        return 2 * (new * dim * 2 * (queries + keys) + new * seen * 2 * queries)

    def activation_bytes(self, dim: int, *, new: int, seen: int, itemsize: int) -> int:
        """Most bytes alive at once: queries, keys and values before and after rotation, then the attended values.

        Scores are not counted, since fused attention never holds them; its mask is, in two types, if there are earlier
        positions.
        """
        queries, keys = self.num_attention_heads * self.head_width(dim), self.kv_heads * self.head_width(dim)
        rotating = 2 * (queries + keys) * itemsize + ROTATION_BYTES * max(queries, keys)
        mask = new * seen * (1 + itemsize) if 1 < new < seen else 0
        return max(new * rotating, new * (3 * queries + 2 * keys + dim) * itemsize + mask)


class MHA(nn.Module):
    """Attention with rotated queries and keys. Papers: arXiv:1706.03762, grouped heads arXiv:2305.13245.

    Args:
        config: heads and biases.
        dim: decoder width D.
    """

    def __init__(self, config: MHAConfig, *, dim: int) -> None:
        super().__init__()
        self.head_width, self.softmax_scale = config.head_width(dim), config.head_width(dim) ** -0.5
        queries, keys = config.num_attention_heads * self.head_width, config.kv_heads * self.head_width
        self.q_proj = Linear(dim, queries, bias=config.attention_bias)
        self.k_proj = Linear(dim, keys, bias=config.attention_bias)
        self.v_proj = Linear(dim, keys, bias=config.attention_bias)
        self.o_proj = Linear(queries, dim, bias=config.attention_bias)

    def forward(
        self, x_BTD: Tensor, *, rotation: Rotation, mask_BTS: Tensor | None = None, cache: LayerCache | None = None
    ) -> Tensor:
        """Attended features.

        Args:
            x_BTD: float[B, T, D].
            rotation: rotary tables of the T new positions.
            mask_BTS: bool[B, T, S], True where a query sees a key; None: causal.
            cache: keys and values of earlier positions, to which the new ones are appended.

        Returns:
            x_BTD: float[B, T, D].
        """
        q_BTHK, k_BTGK, v_BTGK = (
            rearrange(project(x_BTD), "b t (h k) -> b t h k", k=self.head_width)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q_BHTK = rotate(q_BTHK, rotation, interleaved=False).transpose(1, 2)
        k_BGSK = rotate(k_BTGK, rotation, interleaved=False).transpose(1, 2)
        v_BGSK = v_BTGK.transpose(1, 2)
        if cache is not None:
            k_BGSK, v_BGSK = cache.append(k_BGSK, v_BGSK)
        y_BHTK = attend(q_BHTK, k_BGSK, v_BGSK, mask_BTS=mask_BTS, scale=self.softmax_scale)
        return self.o_proj(rearrange(y_BHTK, "b h t k -> b t (h k)"))


def attend(
    q_BHTK: Tensor, k_BGSK: Tensor, v_BGSV: Tensor, *, mask_BTS: Tensor | None, scale: float, causal: bool = True
) -> Tensor:
    """Softmax attention of the last T of S positions; float[B, H, T, V].

    Args:
        q_BHTK: queries.
        k_BGSK: keys, one per group of query heads.
        v_BGSV: their values.
        mask_BTS: bool[B, T, S], True where a query sees a key.
        scale: factor on the scores.
        causal: whether a query sees no later position if there is no mask.
    """
    new, seen, grouped = q_BHTK.shape[2], k_BGSK.shape[2], q_BHTK.shape[1] != k_BGSK.shape[1]
    if causal and mask_BTS is None and 1 < new < seen:
        mask_BTS = causal_mask(new, seen, device=q_BHTK.device)[None]
    is_causal = causal and mask_BTS is None and new == seen and new > 1
    if widens_keys(q_BHTK, k_BGSK) and not is_causal:
        return attend_widened(q_BHTK, k_BGSK, v_BGSV, mask_BTS=mask_BTS, scale=scale)
    y_BHTV = F.scaled_dot_product_attention(
        q_BHTK,
        k_BGSK,
        padded(v_BGSV, k_BGSK.shape[-1]),
        attn_mask=None if mask_BTS is None else mask_BTS[:, None],
        is_causal=is_causal,
        scale=scale,
        enable_gqa=grouped,
    )
    return y_BHTV[..., : v_BGSV.shape[-1]]


def padded(v_BGSV: Tensor, width: int) -> Tensor:
    """Values with zeros up to the width of the keys, which the fused kernel of CPUs wants; elsewhere as they are."""
    missing = width - v_BGSV.shape[-1]
    return F.pad(v_BGSV, (0, missing)) if missing > 0 and v_BGSV.device.type == "cpu" else v_BGSV


def causal_mask(new: int, seen: int, *, device: torch.device) -> Tensor:
    """bool[T, S], True where one of the last T positions sees one of all S."""
    return torch.ones(new, seen, dtype=torch.bool, device=device).tril(seen - new)


def padded_causal_mask(mask_BS: Tensor, new: int) -> Tensor:
    """bool[B, T, S], causal without the padding; padded positions see themselves, so that no row is empty."""
    seen = mask_BS.shape[1]
    causal_TS = causal_mask(new, seen, device=mask_BS.device)
    itself_TS = causal_TS ^ causal_TS.tril(seen - new - 1)
    return causal_TS & mask_BS[:, None] | itself_TS


def packed_causal_mask(sequence_ids: Tensor) -> Tensor:
    """bool[B, T, T], causal within each sample of a row; padding sees padding, so that no row is empty.

    Args:
        sequence_ids: int64[B, T], number of the sample at each position.
    """
    new = sequence_ids.shape[1]
    same_BTS = sequence_ids[:, :, None] == sequence_ids[:, None, :]
    return same_BTS & causal_mask(new, new, device=sequence_ids.device)


def packed_positions(sequence_ids: Tensor) -> Tensor:
    """int64[B, T], positions counted from 0 within each sample of a row; `sequence_ids` as in `packed_causal_mask`."""
    place_BT = torch.arange(sequence_ids.shape[1], device=sequence_ids.device).expand_as(sequence_ids)
    return place_BT - place_BT.masked_fill(~first_positions(sequence_ids), 0).cummax(dim=1).values


def first_positions(sequence_ids: Tensor) -> Tensor:
    """bool[B, T], True where a sample of a row begins; `sequence_ids` as in `packed_causal_mask`."""
    return sequence_ids != F.pad(sequence_ids, (1, 0), value=-1)[:, :-1]
