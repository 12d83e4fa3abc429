"""Mixture of experts: stacked experts, and the layer that adds shared ones.

Paper: DeepSeekMoE, arXiv:2401.06066.
"""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from vlkit.config import Count, Depth, Width
from vlkit.errors import ConfigError
from vlkit.nn.linear import linear, multiply
from vlkit.nn.mlp import GatedMLP
from vlkit.nn.router import Router, RouterConfig, Routing

Compute = Literal["auto", "fused", "grouped", "loop"]


class MoEConfig(RouterConfig):
    """Routed and shared experts, which layers have them, and how their load is balanced in training."""

    moe_intermediate_size: Width = 1408
    """Hidden width F of one expert."""
    n_shared_experts: Count | None = None
    """Experts that every token uses, computed as one MLP of `n_shared_experts * moe_intermediate_size`; None: none."""
    first_k_dense_replace: int = Field(default=0, ge=0, le=2**10)
    """Number of leading layers with an ordinary MLP."""
    moe_layer_freq: Depth = 1
    """Only layers whose index is a multiple of this have experts."""
    aux_loss_alpha: float = Field(default=0.001, ge=0)
    """Weight of the balance loss in training."""
    seq_aux: bool = True
    """Whether balance is asked for within each sequence or only over the batch."""
    compute: Compute = "auto"
    """How the experts run: all in one kernel, tokens sorted by expert (`fused`); one after the other on sorted tokens
    (`grouped`); the plain loop that is the reference. `auto` is `fused` in bfloat16 on GPUs and in compiled code, else
    `grouped`, and for few tokens in compiled code gathers the weights of their experts without asking the device."""

    def is_moe_layer(self, index: int) -> bool:
        """Whether layer `index` has experts."""
        return index >= self.first_k_dense_replace and index % self.moe_layer_freq == 0

    @property
    def shared_size(self) -> int:
        """Hidden width of the shared experts together; 0 without any."""
        return self.moe_intermediate_size * (self.n_shared_experts or 0)

    def forward_flops(self, dim: int, *, new: int) -> int:
        """Floating-point operations of `new` tokens, a multiply-add being two.

        Per token `D E` multiply-adds in the router and `3 D F` in each of the `A` active and of the shared experts.
        """
        hidden = self.num_experts_per_tok * self.moe_intermediate_size + self.shared_size
        return 2 * new * dim * (self.n_routed_experts + 3 * hidden)

    def activation_bytes(self, dim: int, *, new: int, itemsize: int) -> int:
        """Most bytes alive at once: the float32 sum, and the rows of one expert, taken to be the average one.

        A single token, and `fused` (which `auto` is on GPUs), hold the rows of all experts. The router's float32 copies
        of its input and weights, or the shared experts beside the routed ones, count where they are larger.
        """
        rows, hidden, wide = new * self.num_experts_per_tok, self.moe_intermediate_size, max(itemsize, 4)
        if self.compute == "loop" or (new > 1 and self.compute != "fused"):
            rows = -(-rows // self.n_routed_experts)
        expert = max((dim + 4 * hidden) * itemsize, dim * (itemsize + 2 * wide))
        routed = new * dim * wide + max(rows * expert, new * dim * itemsize)
        scored = wide * dim * (new + self.n_routed_experts) if itemsize < 4 else 0
        shared = new * (dim + 3 * self.shared_size) * itemsize
        return new * self.n_routed_experts * wide + max(routed, scored, shared)


FUSED_DTYPES = (torch.bfloat16, torch.float16, torch.float32)
"""Types that the grouped matrix product takes."""


class Experts(nn.Module):
    """Gated MLPs with stacked weights.

    Parameters: `gate_up_proj` float[E, 2 F, D], the gate's rows first, and `down_proj` float[E, D, F].

    Args:
        experts: number E.
        dim: decoder width D.
        hidden: hidden width F of each.
        compute: as in `MoEConfig`.
    """

    def __init__(self, experts: int, dim: int, hidden: int, *, compute: Compute = "auto") -> None:
        super().__init__()
        self.compute = compute
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * hidden, dim))
        self.down_proj = nn.Parameter(torch.empty(experts, dim, hidden))
        nn.init.normal_(self.gate_up_proj, std=dim**-0.5)
        nn.init.normal_(self.down_proj, std=hidden**-0.5)

    def forward(self, x_MD: Tensor, routing: Routing) -> Tensor:
        """Weighted sum of each token's experts, summed in float32.

        Args:
            x_MD: float[M, D].
            routing: experts and weights of each token.

        Returns:
            y_MD: float[M, D].
        """
        way = self.chosen(x_MD)
        compiling = self.compute == "auto" and torch.compiler.is_compiling()
        if way == "grouped" and compiling and routing.ids_MA.numel() <= len(self.down_proj):
            return self.run_gathered(x_MD, routing).to(x_MD.dtype)
        if way == "grouped" and len(x_MD) == 1:
            return self.run_single(x_MD, routing).to(x_MD.dtype)
        wide = torch.zeros_like(x_MD, dtype=torch.promote_types(x_MD.dtype, torch.float32))
        runs = {"fused": self.run_fused, "grouped": self.run_grouped, "loop": self.run_loop}
        return runs[way](x_MD, routing, wide).to(x_MD.dtype)

    def chosen(self, x_MD: Tensor) -> Compute:
        """How these tokens are computed.

        The grouped matrix product of one kernel takes no float64 and rows of whole 16 bytes only. It is as fast as one
        product per expert on a CPU, but needs no host that knows the number of tokens of each.

        Raises:
            ConfigError: if `fused` is asked for and cannot be had.
        """
        rows = (self.gate_up_proj.shape[2], self.down_proj.shape[2])
        able = x_MD.dtype in FUSED_DTYPES and all(row * x_MD.element_size() % 16 == 0 for row in rows)
        able = able and hasattr(F, "grouped_mm")
        if self.compute == "fused" and not able:
            raise ConfigError(
                f"compute 'fused' for {x_MD.dtype} and experts of widths {rows}",
                rule="the grouped matrix product takes rows of whole 16 bytes, no float64, and a torch that has it",
                remedy="use 'auto' or 'grouped'",
            )
        if self.compute != "auto":
            return self.compute
        helps = x_MD.dtype == torch.bfloat16 and (x_MD.is_cuda or torch.compiler.is_compiling())
        return "fused" if able and helps else "grouped"

    def run_single(self, x_MD: Tensor, routing: Routing) -> Tensor:
        """All experts of one token, side by side."""
        wide, chosen = torch.promote_types(x_MD.dtype, torch.float32), routing.ids_MA[0].tolist()
        gate_AF, up_AF = torch.cat([linear(x_MD, self.gate_up_proj[expert]) for expert in chosen]).chunk(2, dim=-1)
        hidden = (F.silu(gate_AF) * up_AF).split(1)
        out_AD = torch.cat([linear(h, self.down_proj[expert]) for h, expert in zip(hidden, chosen, strict=True)])
        return (routing.weights_MA.to(wide).t() * out_AD).sum(dim=0, keepdim=True)

    def run_gathered(self, x_MD: Tensor, routing: Routing) -> Tensor:
        """Each token with the weights of its own experts; run eagerly, it copies them."""
        wide, ids_MA = torch.promote_types(x_MD.dtype, torch.float32), routing.ids_MA
        products_MAFD = self.gate_up_proj[ids_MA].to(wide) * x_MD[:, None, None].to(wide)
        gate_MAF, up_MAF = products_MAFD.sum(dim=-1).chunk(2, dim=-1)
        hidden_MAF = F.silu(gate_MAF) * up_MAF
        out_MAD = (self.down_proj[ids_MA].to(wide) * hidden_MAF[:, :, None]).sum(dim=-1)
        return (routing.weights_MA[..., None].to(wide) * out_MAD).sum(dim=1)

    def run_loop(self, x_MD: Tensor, routing: Routing, y_MD: Tensor) -> Tensor:
        """Reference: expert after expert on the tokens that chose it."""
        for expert in range(len(self.down_proj)):
            tokens, choice = (routing.ids_MA == expert).nonzero(as_tuple=True)
            out = self.run_expert(expert, x_MD[tokens]) * routing.weights_MA[tokens, choice, None]
            y_MD = y_MD.index_add(0, tokens, out.to(y_MD.dtype))
        return y_MD

    def run_grouped(self, x_MD: Tensor, routing: Routing, y_MD: Tensor) -> Tensor:
        """Assignments sorted by expert, so that each active expert runs once, on the tokens that chose it."""
        active = routing.ids_MA.shape[1]
        ids, weights = routing.ids_MA.flatten(), routing.weights_MA.flatten()
        counts = ids.bincount(minlength=len(self.down_proj)).tolist()
        for expert, chosen in enumerate(ids.argsort(stable=True).split(counts)):
            if len(chosen):
                tokens = chosen // active
                out_MD = self.run_expert(expert, x_MD.index_select(0, tokens))
                out_MD = out_MD.to(y_MD.dtype, memory_format=torch.contiguous_format)
                y_MD.index_add_(0, tokens, out_MD * weights[chosen, None])
        return y_MD

    def run_fused(self, x_MD: Tensor, routing: Routing, y_MD: Tensor) -> Tensor:
        """Tokens sorted by expert, all experts in one matrix product; the host never learns how many there are."""
        ids, active = routing.ids_MA.flatten(), routing.ids_MA.shape[1]
        order = ids.argsort(stable=True)
        counts = ids.new_zeros(len(self.down_proj)).index_add(0, ids, torch.ones_like(ids))
        ends, tokens = counts.cumsum(0).to(torch.int32), order // active
        gate, up = F.grouped_mm(x_MD[tokens], self.gate_up_proj.transpose(1, 2), offs=ends).chunk(2, dim=-1)
        outs = F.grouped_mm(F.silu(gate) * up, self.down_proj.transpose(1, 2), offs=ends)
        weighted = outs * routing.weights_MA.flatten()[order, None]
        return y_MD.index_add(0, tokens, weighted.to(y_MD.dtype))

    def run_expert(self, expert: int, x_MD: Tensor) -> Tensor:
        """Gated MLP number `expert`, float[M, D]."""
        gate_FM, up_FM = multiply(self.gate_up_proj[expert], x_MD.t()).chunk(2)
        return multiply(self.down_proj[expert], F.silu(gate_FM) * up_FM).t()


class MoE(nn.Module):
    """Routed experts plus shared ones.

    Args:
        config: experts and routing.
        dim: decoder width D.
    """

    def __init__(self, config: MoEConfig, *, dim: int) -> None:
        super().__init__()
        self.router = Router(config, dim=dim)
        self.experts = Experts(config.n_routed_experts, dim, config.moe_intermediate_size, compute=config.compute)
        self.shared_experts = GatedMLP(dim, config.shared_size) if config.shared_size else None

    def forward(self, x_BTD: Tensor) -> tuple[Tensor, Routing]:
        """Features float[B, T, D] and the routing of their `M = B * T` tokens."""
        x_MD = rearrange(x_BTD, "b t d -> (b t) d")
        routing = self.router(x_MD)
        y_BTD = rearrange(self.experts(x_MD, routing), "(b t) d -> b t d", b=len(x_BTD))
        return (y_BTD if self.shared_experts is None else y_BTD + self.shared_experts(x_BTD)), routing
