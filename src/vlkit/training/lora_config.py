"""Settings of low-rank adapters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vlkit.config import Config


class LoraConfig(Config):
    """Low-rank adapters beside the linear layers of a part. Paper: arXiv:2106.09685."""

    rank: int = Field(default=8, ge=1, le=2**12)
    """Rank of the change of each layer."""
    alpha: float = Field(default=16.0, gt=0, allow_inf_nan=False)
    """The change is multiplied by `alpha / rank`."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of inputs that the adapters do not see in training."""
    reach: Literal["attention", "mlp", "all"] | tuple[str, ...] = "all"
    """Which linear layers of the part have one: those of attention, all others, all; or those whose names end in one of
    these, such as "q_proj". Never reached are routed experts, whose weights are stacked, and layers whose weights are
    read by others: the head, and `kv_b_proj` of latent attention."""
