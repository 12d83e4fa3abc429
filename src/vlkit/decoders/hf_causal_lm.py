"""Any causal language model of the transformers library as a decoder.

The model itself is `decoder.lm`, with all that the library offers; `decoder.lm.generate(inputs_embeds=...)` is the
library's own generation. Positions count from the left edge, padding included, as in every decoder here: that is the
same for rotary positions; learned absolute ones need `position_ids` for batches with padding.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from vlkit.cache.base import KVCache
from vlkit.decoders.base import Decoder, DecoderConfig, DecoderOutput, decoders
from vlkit.decoders.hf_cache import LayerSteps, transformers_cache
from vlkit.decoders.hf_head import balance_loss, balance_weight, body_name, head_logits
from vlkit.decoders.hf_model import (
    Facts,
    cache_argument,
    cached_vectors_of,
    facts_of,
    has_experts,
    load_causal_lm,
    make_causal_lm,
    pass_arguments,
)
from vlkit.errors import InputError, ShapeError
from vlkit.foreign import building
from vlkit.foreign.hf_config import check_content
from vlkit.foreign.tables import PreciseTables, move_tables

QWEN3_0_6B: Mapping[str, Any] = {
    "model_type": "qwen3",
    "vocab_size": 151936,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 40960,
    "rope_theta": 1000000,
    "tie_word_embeddings": True,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
}


class HFCausalLMConfig(DecoderConfig):
    """A causal language model that the installed transformers knows; the default is Qwen3-0.6B as released."""

    type: Literal["hf_causal_lm"] = "hf_causal_lm"
    """Tag of the decoder."""
    config: dict[str, Any] = Field(default_factory=lambda: dict(QWEN3_0_6B))
    """Content of the model's `config.json`, `model_type` included; what it leaves out has the library's defaults."""

    @cached_property
    def facts(self) -> Facts:
        """What is known of the model without its weights."""
        return facts_of(self.config)

    @property
    def dim(self) -> int:
        return self.facts.dim

    @property
    def num_layers(self) -> int:
        return self.facts.num_layers

    @property
    def vocabulary(self) -> int:
        return self.facts.vocabulary

    @property
    def max_positions(self) -> int | None:
        return self.facts.max_positions

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return self.facts.stop_ids

    @property
    def padding_id(self) -> int | None:
        return self.facts.padding_id

    def cached_vectors(self) -> Mapping[int, int]:
        return cached_vectors_of(self.config)

    @model_validator(mode="after")
    def _check(self) -> HFCausalLMConfig:
        check_content(self.config)
        _ = self.facts
        return self


@decoders.register(HFCausalLMConfig)
class HFCausalLM(PreciseTables, Decoder):
    """A causal language model of transformers behind the decoder contract, with vlkit's caches and their policies.

    Args:
        config: its settings.
        lm: a model that is built already, in place of a new one.
    """

    config: HFCausalLMConfig

    def __init__(self, config: HFCausalLMConfig, *, lm: Any = None) -> None:
        super().__init__(config)
        self.lm: Any = building.build(lambda: make_causal_lm(config.config)) if lm is None else lm
        self.lm.register_load_state_dict_post_hook(move_tables)

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path, *, revision: str | None = None, dtype: torch.dtype | None = None
    ) -> Self:
        """Decoder with published weights, from safetensors files only; code of the checkpoint is never run.

        Args:
            name_or_path: folder or hub id.
            revision: branch, tag or commit on the hub.
            dtype: type of the weights; None: as in the file.

        Returns:
            The decoder, in evaluation mode.

        Raises:
            ConfigError: if transformers is missing or does not know the model.
            CheckpointError: if files are missing or damaged, or lack weights of the model.
        """
        content, lm = load_causal_lm(name_or_path, revision=revision, dtype=dtype)
        return cls(HFCausalLMConfig(config=content), lm=lm).eval()

    def embed(self, input_ids: Tensor) -> Tensor:
        return self.lm.get_input_embeddings()(input_ids)

    def forward(
        self,
        x_BTD: Tensor,
        *,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: KVCache | None = None,
        output_hidden_states: bool = False,
        output_routing: bool = False,
    ) -> DecoderOutput:
        batch, new, _ = x_BTD.shape
        past = cache.length if cache else 0
        self.require_context(past + new)
        if cache is None and attention_mask is not None and attention_mask.shape != (batch, new):
            raise ShapeError(
                f"attention_mask of shape {list(attention_mask.shape)} for embeddings of shape {list(x_BTD.shape)}",
                rule=f"without a cache it covers exactly these positions: [{batch}, {new}]",
            )
        mask_BS = attention_mask if cache is None else cache.extend_mask(new, attention_mask, batch=batch)
        if mask_BS is None and position_ids is not None and cache is None:
            mask_BS = torch.ones(batch, new, device=x_BTD.device)  # else jumps in positions would separate sequences
        mask_BS = None if mask_BS is None else mask_BS.long()
        balanced = self.training and balance_weight(self.lm) is not None
        steps = LayerSteps(cache) if cache else None
        out = self._body(
            inputs_embeds=x_BTD,
            attention_mask=mask_BS,
            use_cache=cache is not None,
            output_hidden_states=output_hidden_states,
            return_dict=True,
            **self._positions(x_BTD, position_ids, past),
            **self._past(steps, x_BTD.device),
            **({"output_router_logits": True} if balanced else {}),
        )
        if cache and steps:
            steps.leave()
            _require_even(cache, past + new)
        given_BTD, x_BTD = x_BTD, out.last_hidden_state
        counted_BT = None if mask_BS is None else mask_BS[:, -new:]
        return DecoderOutput(
            x_BTD,
            hidden_states=(given_BTD, *out.hidden_states[1:-1], x_BTD) if output_hidden_states else (),
            aux_loss=balance_loss(self.lm, x_BTD, out.router_logits, counted_BT) if balanced else None,
        )

    def logits(self, x_BTD: Tensor) -> Tensor:
        return head_logits(self.lm, x_BTD)

    @property
    def head(self) -> nn.Module | None:
        return self.lm.get_output_embeddings()

    @property
    def sparse(self) -> bool:
        return has_experts(self.lm.config)

    @property
    def _body(self) -> Any:
        return self.lm.get_submodule(body_name(self.lm))

    def _positions(self, x_BTD: Tensor, position_ids: Tensor | None, past: int) -> dict[str, Tensor]:
        if "position_ids" in pass_arguments(self.lm):
            batch, new, _ = x_BTD.shape
            counted_BT = torch.arange(past, past + new, device=x_BTD.device).expand(batch, new)
            return {"position_ids": counted_BT if position_ids is None else position_ids}
        if position_ids is not None:
            raise InputError(
                f"position_ids for {type(self.lm).__name__}",
                rule="this model counts positions itself",
                remedy="pass none",
            )
        return {}

    def _past(self, steps: LayerSteps | None, device: torch.device) -> dict[str, Any]:
        if steps is None:
            return {}
        steps.cache.device = device
        return {cache_argument(pass_arguments(self.lm)): transformers_cache(steps)}


def _require_even(cache: KVCache, length: int) -> None:
    if any(layer.length != length for layer in cache.layers):
        raise ShapeError(
            f"layers of the cache hold {sorted({layer.length for layer in cache.layers})} of {length} positions",
            rule="every layer of a decoder here keeps every position once",
            remedy="use the model in transformers itself",
        )
