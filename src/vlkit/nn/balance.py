"""Balancing the load of experts in training.

Papers: balance loss arXiv:2401.06066 section 3.3 and arXiv:2405.04434 section 2.2.3; bias rule arXiv:2408.15664.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from vlkit.nn.router import Router, Routing


def expert_load(routing: Routing, mask_M: Tensor | None = None) -> Tensor:
    """Number of tokens that chose each expert, float32[E]; padded tokens (False in `mask_M`) do not count."""
    experts = routing.scores_ME.shape[1]
    ids_MA = routing.ids_MA if mask_M is None else routing.ids_MA[mask_M.bool()]
    return torch.bincount(ids_MA.flatten(), minlength=experts).float()


def sequence_balance_loss(routing: Routing, mask_BT: Tensor) -> Tensor:
    """Mean over sequences of `sum_e f_e P_e`, with the share `f_e` of choices times E and the mean score `P_e`.

    Args:
        routing: of `M = B * T` tokens.
        mask_BT: bool[B, T], False on padding, which is left out.

    Returns:
        A scalar; 1 for softmax scores under perfect balance.
    """
    experts, active = routing.scores_ME.shape[1], routing.ids_MA.shape[1]
    mask_BTE = mask_BT[..., None].to(routing.scores_ME.dtype)
    chosen_ME = torch.zeros_like(routing.scores_ME).scatter(1, routing.ids_MA, 1.0)
    scores_BTE, chosen_BTE = (rearrange(m, "(b t) e -> b t e", b=len(mask_BT)) for m in (routing.scores_ME, chosen_ME))
    tokens_BE = mask_BTE.sum(dim=1).clamp(min=1)
    frequency_BE = (chosen_BTE * mask_BTE).sum(dim=1) * experts / (active * tokens_BE)
    return (frequency_BE * (scores_BTE * mask_BTE).sum(dim=1) / tokens_BE).sum(dim=1).mean()


def batch_balance_loss(routing: Routing, mask_BT: Tensor) -> Tensor:
    """The same over all tokens of the batch at once."""
    return sequence_balance_loss(routing, mask_BT.reshape(1, -1))


def packed_balance_loss(routing: Routing, sequence_ids: Tensor) -> Tensor:
    """`sequence_balance_loss` of rows that several sequences share: mean over all sequences.

    Args:
        routing: of `M = B * T` tokens.
        sequence_ids: int64[B, T], number of the sequence at each position, from 1 to at most T; 0 on padding.
    """
    experts, active, (rows, positions) = routing.scores_ME.shape[1], routing.ids_MA.shape[1], sequence_ids.shape
    first_B1 = torch.arange(rows, device=sequence_ids.device)[:, None] * (positions + 1)
    number_M, counted_M = (sequence_ids + first_B1).flatten(), (sequence_ids > 0).flatten()

    def summed(values_ME: Tensor) -> Tensor:
        zeros = values_ME.new_zeros(rows * (positions + 1), values_ME.shape[1])
        return zeros.index_add(0, number_M, values_ME * counted_M[:, None])

    chosen_ME = torch.zeros_like(routing.scores_ME).scatter(1, routing.ids_MA, 1.0)
    tokens_N1 = summed(torch.ones_like(chosen_ME[:, :1]))
    frequency_NE = summed(chosen_ME) * experts / (active * tokens_N1.clamp(min=1))
    losses_N = (frequency_NE * summed(routing.scores_ME) / tokens_N1.clamp(min=1)).sum(dim=1)
    return losses_N.sum() / (tokens_N1 > 0).sum().clamp(min=1)


@torch.no_grad()
def update_correction_bias(router: Router, load_E: Tensor, *, speed: float = 0.001) -> None:
    """Auxiliary-loss-free step of a `noaux_tc` router: raise the bias of idle experts, lower that of busy ones.

    Args:
        router: whose `e_score_correction_bias` changes.
        load_E: tokens per expert in the last optimisation step, summed over all workers.
        speed: size of the change.
    """
    bias = router.e_score_correction_bias
    bias.add_(torch.sign(load_E.mean() - load_E).to(bias.dtype), alpha=speed)
