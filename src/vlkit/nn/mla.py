"""Multi-head latent attention: keys and values of all heads from one cached latent.

Paper: DeepSeek-V2, arXiv:2405.04434, section 2.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn

from vlkit.cache.layer import LayerCache
from vlkit.config import Config, Count, Width
from vlkit.nn.attention import attend, causal_mask
from vlkit.nn.linear import Linear, multiply_each
from vlkit.nn.norm import RMSNorm
from vlkit.nn.rope import Rotation, rotate


class MLAConfig(Config):
    """Latent attention; the defaults are DeepSeek-VL2-small's."""

    type: Literal["mla"] = "mla"
    """Tag of the attention."""
    num_attention_heads: Count = 16
    """Heads H."""
    q_lora_rank: Width | None = None
    """Rank of the queries' own latent; None: one full projection."""
    kv_lora_rank: Width = 512
    """Rank R of the latent of keys and values."""
    qk_nope_head_dim: Width = 128
    """Width of the part of queries and keys that is not rotated."""
    qk_rope_head_dim: int = Field(default=64, ge=2, le=2**20, multiple_of=2)
    """Width of the rotated part, whose key is shared by all heads."""
    v_head_dim: Width = 128
    """Width V of the values."""
    attention_bias: bool = False
    """Whether the first query projection (with a rank), the latent's and the output projection have biases."""
    mode: Literal["auto", "expand", "absorb"] = "auto"
    """How attention is computed: with full heads, in the latent space, or whichever takes fewer operations."""

    def rope_dim(self, dim: int) -> int:
        """Rotated width of a head."""
        return self.qk_rope_head_dim

    def cached_vectors(self, dim: int) -> Mapping[int, int]:
        """Vectors that the cache keeps per token and layer: how many of each width."""
        return {self.kv_lora_rank + self.qk_rope_head_dim: 1}

    def cached_values(self, dim: int) -> int:
        """Numbers that the cache keeps per token and layer."""
        return sum(width * count for width, count in self.cached_vectors(dim).items())

    def absorbs(self, new: int, seen: int) -> bool:
        """Whether T = `new` queries on S = `seen` positions are computed in the latent space.

        Expanding costs `S R d` once and `T S (d + k)` after it, absorbing `T R d` and `T S 2 (R + k)` per head, with
        `d` the unrotated key width plus the value width and `k` the rotated width.
        """
        if self.mode != "auto":
            return self.mode == "absorb"
        return self._multiply_adds(new, seen, absorb=True) < self._multiply_adds(new, seen, absorb=False)

    def forward_flops(self, dim: int, *, new: int, seen: int) -> int:
        """Floating-point operations of `new` queries on `seen` positions, a multiply-add being two.

        The projections of queries, latent and output take `T` times their weights; the rest is as `absorbs` says,
        whichever way it chooses, for every query with every position, though a kernel may skip those that the mask
        hides.
        """
        heads, rope = self.num_attention_heads, self.qk_rope_head_dim
        queries = heads * (self.qk_nope_head_dim + rope)
        query_weights = dim * queries if self.q_lora_rank is None else self.q_lora_rank * (dim + queries)
        weights = query_weights + dim * (self.kv_lora_rank + rope) + heads * self.v_head_dim * dim
        return 2 * (new * weights + heads * self._multiply_adds(new, seen, absorb=self.absorbs(new, seen)))

    def activation_bytes(self, dim: int, *, new: int, seen: int, itemsize: int) -> int:
        """Most bytes alive at once: queries, and full keys and values of all positions or queries in the latent space.

        Fused attention never holds the scores, but its mask in two types, if there are earlier positions. Values
        narrower than the keys count once more at the keys' width, as the kernel of CPUs wants them.
        """
        heads, rank, rope = self.num_attention_heads, self.kv_lora_rank, self.qk_rope_head_dim
        nope, values = self.qk_nope_head_dim, self.v_head_dim
        if self.absorbs(new, seen):
            mask = seen * (1 + itemsize) if new > 1 else 0
            return new * heads * ((nope + 3 * rope + 3 * rank) * itemsize + mask)
        keys, mask = nope + rope, new * seen * (1 + itemsize) if 1 < new < seen else 0
        padded = keys if values < keys else 0
        expanded = seen * (heads * (nope + values + keys + padded) + rank)
        return (new * heads * (keys + max(keys, values)) + expanded) * itemsize + mask

    def _multiply_adds(self, new: int, seen: int, *, absorb: bool) -> int:
        widths, rank = self.qk_nope_head_dim + self.v_head_dim, self.kv_lora_rank
        if absorb:
            return new * rank * widths + new * seen * 2 * (rank + self.qk_rope_head_dim)
        return seen * rank * widths + new * seen * (widths + self.qk_rope_head_dim)


class MLA(nn.Module):
    """Latent attention that caches the normalised latent and the rotated shared key, nothing else.

    Args:
        config: heads, ranks and widths.
        dim: decoder width D.
        softmax_factor: factor on the softmax scale (from rotary scaling).
    """

    def __init__(self, config: MLAConfig, *, dim: int, softmax_factor: float = 1.0) -> None:
        super().__init__()
        self.config = config
        heads, nope, rope = config.num_attention_heads, config.qk_nope_head_dim, config.qk_rope_head_dim
        self.softmax_scale = (nope + rope) ** -0.5 * softmax_factor
        queries = heads * (nope + rope)
        if config.q_lora_rank is None:
            self.q_proj = Linear(dim, queries, bias=False)
        else:
            self.q_a_proj = Linear(dim, config.q_lora_rank, bias=config.attention_bias)
            self.q_a_layernorm = RMSNorm(config.q_lora_rank)
            self.q_b_proj = Linear(config.q_lora_rank, queries, bias=False)
        self.kv_a_proj_with_mqa = Linear(dim, config.kv_lora_rank + rope, bias=config.attention_bias)
        self.kv_a_layernorm = RMSNorm(config.kv_lora_rank)
        self.kv_b_proj = Linear(config.kv_lora_rank, heads * (nope + config.v_head_dim), bias=False)
        self.o_proj = Linear(heads * config.v_head_dim, dim, bias=config.attention_bias)

    def forward(
        self, x_BTD: Tensor, *, rotation: Rotation, mask_BTS: Tensor | None = None, cache: LayerCache | None = None
    ) -> Tensor:
        """Attended features; arguments and result as in `MHA.forward`."""
        q_BTHK = self.queries(x_BTD, rotation)
        c_BSR = self.latent(x_BTD, rotation)
        if cache is not None:
            (c_BSR,) = cache.append(c_BSR)
        compute = self.absorb if self.config.absorbs(x_BTD.shape[1], c_BSR.shape[1]) else self.expand
        return self.o_proj(rearrange(compute(q_BTHK, c_BSR, mask_BTS), "b t h v -> b t (h v)"))

    def queries(self, x_BTD: Tensor, rotation: Rotation) -> Tensor:
        """Queries of all heads, unrotated part first, float[B, T, H, K]."""
        if self.config.q_lora_rank is None:
            flat = self.q_proj(x_BTD)
        else:
            flat = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x_BTD)))
        q_BTHK = rearrange(flat, "b t (h k) -> b t h k", h=self.config.num_attention_heads)
        plain, rotated = q_BTHK.split([self.config.qk_nope_head_dim, self.config.qk_rope_head_dim], dim=-1)
        return torch.cat([plain, rotate(rotated, rotation, interleaved=True)], dim=-1)

    def latent(self, x_BTD: Tensor, rotation: Rotation) -> Tensor:
        """What is cached: normalised latent, then rotated shared key, float[B, T, R + k]."""
        widths = [self.config.kv_lora_rank, self.config.qk_rope_head_dim]
        latent, key = self.kv_a_proj_with_mqa(x_BTD).split(widths, dim=-1)
        key = rotate(key[:, :, None], rotation, interleaved=True)[:, :, 0]
        return torch.cat([self.kv_a_layernorm(latent), key], dim=-1)

    def expand(self, q_BTHK: Tensor, c_BSR: Tensor, mask_BTS: Tensor | None) -> Tensor:
        """Full keys and values from the latent, then ordinary attention; float[B, T, H, V]."""
        latent, shared = c_BSR.split([self.config.kv_lora_rank, self.config.qk_rope_head_dim], dim=-1)
        heads = rearrange(self.kv_b_proj(latent), "b s (h k) -> b h s k", h=self.config.num_attention_heads)
        plain, v_BHSV = heads.split([self.config.qk_nope_head_dim, self.config.v_head_dim], dim=-1)
        k_BHSK = torch.cat([plain, shared[:, None].expand(-1, plain.shape[1], -1, -1)], dim=-1)
        y_BHTV = attend(q_BTHK.transpose(1, 2), k_BHSK, v_BHSV, mask_BTS=mask_BTS, scale=self.softmax_scale)
        return y_BHTV.transpose(1, 2)

    def absorb(self, q_BTHK: Tensor, c_BSR: Tensor, mask_BTS: Tensor | None) -> Tensor:
        """Attention in the latent space, where all heads share one key, which is the value too; float[B, T, H, V]."""
        config, (_, new, heads, _) = self.config, q_BTHK.shape
        up = self.kv_b_proj.weight.unflatten(0, (heads, -1))
        key_up, value_up = up.split([config.qk_nope_head_dim, config.v_head_dim], dim=1)
        plain, rotated = q_BTHK.split([config.qk_nope_head_dim, config.qk_rope_head_dim], dim=-1)
        in_latent = multiply_each(key_up.mT, rearrange(plain, "b t h k -> h k (b t)"))
        in_latent = rearrange(in_latent, "h r (b t) -> b t h r", t=new)
        q_BMR = rearrange(torch.cat([in_latent, rotated], dim=-1), "b t h r -> b (t h) r")
        if mask_BTS is None and new > 1:
            mask_BTS = causal_mask(new, c_BSR.shape[1], device=c_BSR.device)[None]
        mask_BMS = None if mask_BTS is None else mask_BTS.repeat_interleave(heads, dim=1)
        shared = c_BSR[:, None]
        y_BMR = attend(q_BMR[:, None], shared, shared, mask_BTS=mask_BMS, causal=False, scale=self.softmax_scale)[:, 0]
        y_HRM = rearrange(y_BMR[..., : config.kv_lora_rank], "b (t h) r -> h r (b t)", h=heads)
        return rearrange(multiply_each(value_up, y_HRM), "h v (b t) -> b t h v", t=new)
