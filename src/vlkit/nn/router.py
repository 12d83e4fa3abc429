"""Routing of tokens to experts.

Papers: DeepSeekMoE arXiv:2401.06066, group-limited routing arXiv:2405.04434 section 2.2, auxiliary-loss-free
balancing (`noaux_tc`) arXiv:2408.15664 and arXiv:2412.19437 section 2.1.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from vlkit.config import Config, Count
from vlkit.errors import ConfigError


class RouterConfig(Config):
    """How experts are scored and chosen."""

    n_routed_experts: Count = 64
    """Experts E."""
    num_experts_per_tok: Count = 6
    """Active experts A per token."""
    scoring_func: Literal["softmax", "sigmoid"] = "softmax"
    """From logits to scores."""
    topk_method: Literal["greedy", "group_limited_greedy", "noaux_tc"] = "greedy"
    """Best of all; best of the best groups; or best of the best groups after a learned-by-rule correction bias."""
    n_group: Count = 1
    """Groups that the experts are divided into (not used by `greedy`)."""
    topk_group: Count = 1
    """Groups that a token may use (not used by `greedy`)."""
    norm_topk_prob: bool = False
    """Whether the weights of a token's experts are divided by their sum (only for more than one expert)."""
    routed_scaling_factor: float = 1.0
    """Factor on all weights."""

    @model_validator(mode="after")
    def _check(self) -> RouterConfig:
        experts, active = self.n_routed_experts, self.num_experts_per_tok
        if active > experts:
            raise ConfigError(
                f"num_experts_per_tok {active} of {experts} experts", rule="at most all experts are active"
            )
        if self.topk_method != "greedy":
            if experts % self.n_group or self.topk_group > self.n_group:
                raise ConfigError(
                    f"{experts} experts, n_group {self.n_group}, topk_group {self.topk_group}",
                    rule="groups divide the experts, and a token uses at most all groups",
                )
            if active > experts // self.n_group * self.topk_group:
                raise ConfigError(
                    f"num_experts_per_tok {active}, but {self.topk_group} groups of {experts // self.n_group}",
                    rule="the chosen groups hold enough experts",
                    remedy="raise topk_group or lower num_experts_per_tok",
                )
        return self


@dataclass(frozen=True)
class Routing:
    """Where tokens go.

    Args:
        ids_MA: int64[M, A], chosen experts in no particular order.
        weights_MA: float32[M, A], their final weights.
        scores_ME: float32[M, E], scores of all experts before any bias.
    """

    ids_MA: Tensor
    weights_MA: Tensor
    scores_ME: Tensor


class Router(nn.Module):
    """Scores experts in float32 and chooses among them.

    Args:
        config: scoring and choice.
        dim: decoder width D.
    """

    def __init__(self, config: RouterConfig, *, dim: int) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, dim))
        if config.topk_method == "noaux_tc":
            self.e_score_correction_bias = nn.Parameter(torch.zeros(config.n_routed_experts), requires_grad=False)
        nn.init.normal_(self.weight, std=dim**-0.5)

    def forward(self, x_MD: Tensor) -> Routing:
        """Routing of each token.

        Args:
            x_MD: float[M, D].
        """
        logits_ME = self.logits(x_MD)
        scores_ME = logits_ME.softmax(dim=-1) if self.config.scoring_func == "softmax" else logits_ME.sigmoid()
        ids_MA = self.choose(scores_ME)
        weights_MA = scores_ME.gather(1, ids_MA)
        if self.config.norm_topk_prob and self.config.num_experts_per_tok > 1:
            weights_MA = weights_MA / (weights_MA.sum(dim=-1, keepdim=True) + 1e-20)
        return Routing(ids_MA, weights_MA * self.config.routed_scaling_factor, scores_ME)

    def logits(self, x_MD: Tensor) -> Tensor:
        """Logits of all experts in float32 or wider, under autocast too, float[M, E]."""
        wide = torch.promote_types(x_MD.dtype, torch.float32)
        x_MD, weight, kind = x_MD.to(wide), self.weight.to(wide), x_MD.device.type
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            with torch.autocast(kind, enabled=False):
                return F.linear(x_MD, weight)
        return F.linear(x_MD, weight)

    def choose(self, scores_ME: Tensor) -> Tensor:
        """Chosen experts int64[M, A]; the choice itself has no gradient."""
        preference_ME = scores_ME.detach()
        match self.config.topk_method:
            case "group_limited_greedy":
                preference_ME = self.limit_to_groups(preference_ME, best=1)
            case "noaux_tc":
                preference_ME = self.limit_to_groups(preference_ME + self.e_score_correction_bias.detach(), best=2)
            case "greedy":
                pass
        return preference_ME.topk(self.config.num_experts_per_tok, dim=-1, sorted=False).indices

    def limit_to_groups(self, preference_ME: Tensor, *, best: int) -> Tensor:
        """Minus infinity outside the `topk_group` groups whose `best` experts have the largest sum."""
        grouped = rearrange(preference_ME, "m (g e) -> m g e", g=self.config.n_group)
        group_score = grouped.topk(min(best, grouped.shape[-1]), dim=-1).values.sum(dim=-1)
        kept = group_score.topk(self.config.topk_group, dim=-1, sorted=False).indices
        dropped = torch.ones_like(group_score, dtype=torch.bool).scatter(1, kept, False)
        return rearrange(grouped.masked_fill(dropped[..., None], float("-inf")), "m g e -> m (g e)")
