"""What a causal language model of transformers does behind its body: scaled and capped logits, the balance loss.

Each model has its own formulas for these. They run as they are, in the model itself, around a body that is given.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

from torch import Tensor, nn


class Given(nn.Module):
    """Stands in for the body of a model, and for that body's output: gives back what it was made with.

    Args:
        x_BTD: hidden states float[B, T, D].
        router_logits: scores of the experts, layer by layer.
    """

    def __init__(self, x_BTD: Tensor, router_logits: Any = None) -> None:
        super().__init__()
        self.last_hidden_state, self.router_logits = x_BTD, router_logits

    def forward(self, *args: Any, **kwargs: Any) -> Given:
        """Itself, whatever is asked."""
        return self

    def __getitem__(self, index: Any) -> Any:
        return (self.last_hidden_state,)[index]

    def __getattr__(self, name: str) -> Any:
        return self if name == "decoder" else None


def body_name(lm: Any) -> str | None:
    """Name of the submodule that turns embeddings into hidden states; None if there is none of its own."""
    return next((name for name in (lm.base_model_prefix, "model") if name in lm._modules), None)


def head_logits(lm: Any, x_BTD: Tensor) -> Tensor:
    """The model's logits float[..., vocabulary] for hidden states float[..., D]."""
    flat_MD = x_BTD.reshape(1, -1, x_BTD.shape[-1])
    logits = _around(lm, Given(flat_MD))(inputs_embeds=flat_MD, use_cache=False, return_dict=True).logits
    return logits.reshape(*x_BTD.shape[:-1], -1)


def balance_weight(lm: Any) -> float | None:
    """The weight of the model's balance loss; None if it has none."""
    routed = "output_router_logits" in inspect.signature(lm.forward).parameters
    return getattr(lm.config, "router_aux_loss_coef", None) if routed else None


def balance_loss(lm: Any, x_BTD: Tensor, router_logits: Any, mask_BT: Tensor | None) -> Tensor | None:
    """The model's own weighted balance loss; None if it has none.

    Args:
        lm: the model.
        x_BTD: its hidden states float[B, T, D].
        router_logits: scores of the experts, layer by layer.
        mask_BT: int64[B, T], 0 on padding.
    """
    weight, last_B1D = balance_weight(lm), x_BTD[:, -1:]
    if weight is None:
        return None
    loss = _around(lm, Given(last_B1D, router_logits))(
        inputs_embeds=last_B1D, attention_mask=mask_BT, use_cache=False, output_router_logits=True, return_dict=True
    ).aux_loss
    return loss * weight if isinstance(loss, Tensor) else None


def _around(lm: Any, body: Given) -> Any:
    """The same model around another body, sharing everything else."""
    other, name = copy.copy(lm), body_name(lm)
    assert name is not None
    vars(other)["_modules"] = {**lm._modules, name: body}
    return other
