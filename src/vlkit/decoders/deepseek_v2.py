"""DeepSeek-V2's decoder: latent or multi-head attention, dense layers first, then mixtures of experts.

Paper: arXiv:2405.04434.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from vlkit.cache.base import KVCache
from vlkit.cache.layer import LayerCache
from vlkit.config import Depth, Width
from vlkit.decoders.base import Decoder, DecoderConfig, DecoderOutput, decoders
from vlkit.errors import ConfigError, InputError, ShapeError
from vlkit.nn.attention import MHA, MHAConfig, packed_causal_mask, packed_positions, padded_causal_mask
from vlkit.nn.balance import batch_balance_loss, packed_balance_loss, sequence_balance_loss
from vlkit.nn.linear import Linear, linear
from vlkit.nn.mla import MLA, MLAConfig
from vlkit.nn.mlp import GatedMLP
from vlkit.nn.moe import MoE, MoEConfig
from vlkit.nn.norm import RMSNorm
from vlkit.nn.rope import AnyRopeScaling, DynamicScaling, LinearScaling, Rope, Rotation, YarnScaling
from vlkit.nn.router import Routing

LLAMA_7B: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "intermediate_size": 11008,
    "max_position_embeddings": 2048,
}
"""Sizes of LLaMA 7B, beside its 32 heads."""


class DeepseekV2Config(DecoderConfig):
    """Decoder of DeepSeek-V2, V3 (without multi-token prediction) and VL2; field names as in the official files."""

    type: Literal["deepseek_v2"] = "deepseek_v2"
    """Tag of the decoder."""
    vocab_size: int = Field(default=102400, ge=1, le=2**24)
    """Number of token ids."""
    hidden_size: Width = 2048
    """Width D."""
    num_hidden_layers: Depth = 27
    """Number of layers."""
    intermediate_size: Width = 10944
    """Hidden width F of the dense layers."""
    attention: Annotated[MHAConfig | MLAConfig, Field(discriminator="type")] = MLAConfig()
    """Multi-head or latent attention."""
    moe: MoEConfig | None = None
    """Experts; None: all layers are dense."""
    rms_norm_eps: float = Field(default=1e-6, gt=0)
    """Epsilon of the layer norms and the last norm; the norms inside latent attention always use 1e-6."""
    rope_theta: float = Field(default=10000.0, gt=1)
    """Base of the rotary frequencies."""
    rope_scaling: AnyRopeScaling | None = None
    """How contexts beyond the trained length are reached."""
    max_position_embeddings: int = Field(default=4096, ge=1, le=2**30)
    """Longest sequence; linear scaling multiplies it, dynamic scaling lifts it, YaRN files give the stretched one."""
    tie_word_embeddings: bool = False
    """Whether the head is the transposed embedding."""
    initializer_range: float = Field(default=0.02, gt=0)
    """Standard deviation of fresh weights."""
    bos_token_id: int | None = None
    """Token that begins every sequence."""
    eos_token_id: int | tuple[int, ...] | None = None
    """Token or tokens that end a generated text."""
    pad_token_id: int | None = None
    """Token that fills up batches."""

    @classmethod
    def dense(
        cls,
        *,
        num_attention_heads: int = 32,
        num_key_value_heads: int | None = None,
        head_dim: int | None = None,
        attention_bias: bool = False,
        **fields: Any,
    ) -> Self:
        """Decoder without experts and with multi-head attention: LLaMA, Mistral and their like, weight for weight.

        Papers: arXiv:2302.13971; grouped heads: arXiv:2305.13245.

        Args:
            num_attention_heads: query heads.
            num_key_value_heads: key/value heads, a divisor of the former; None: as many.
            head_dim: width of a head; None: decoder width / query heads.
            attention_bias: whether the four projections have biases.
            fields: of this class; those left out are LLaMA 7B's.

        Raises:
            ConfigError: if a field is not valid.
        """
        attention = MHAConfig(
            num_attention_heads=num_attention_heads,
            num_key_value_heads=num_key_value_heads,
            head_dim=head_dim,
            attention_bias=attention_bias,
        )
        return cls(attention=attention, moe=None, **(LLAMA_7B | fields))

    @property
    def dim(self) -> int:
        return self.hidden_size

    @property
    def num_layers(self) -> int:
        return self.num_hidden_layers

    @property
    def vocabulary(self) -> int:
        return self.vocab_size

    @property
    def max_positions(self) -> int | None:
        match self.rope_scaling:
            case DynamicScaling():
                return None
            case LinearScaling(factor=factor):
                return int(factor * self.max_position_embeddings)
            case _:
                return self.max_position_embeddings

    @property
    def stop_ids(self) -> tuple[int, ...]:
        ids = self.eos_token_id
        return ids if isinstance(ids, tuple) else () if ids is None else (ids,)

    @property
    def padding_id(self) -> int | None:
        return self.pad_token_id

    def is_moe_layer(self, index: int) -> bool:
        """Whether layer `index` has experts."""
        return self.moe is not None and self.moe.is_moe_layer(index)

    def cached_vectors(self) -> Mapping[int, int]:
        vectors = self.attention.cached_vectors(self.dim)
        return {width: self.num_hidden_layers * count for width, count in vectors.items()}

    def forward_flops(self, new: int, seen: int) -> int:
        attention = self.attention.forward_flops(self.dim, new=new, seen=seen)
        dense = 2 * new * 3 * self.dim * self.intermediate_size
        experts = self.moe.forward_flops(self.dim, new=new) if self.moe else 0
        layers = (experts if self.is_moe_layer(index) else dense for index in range(self.num_hidden_layers))
        return self.num_hidden_layers * attention + sum(layers)

    def activation_bytes(self, new: int, seen: int, itemsize: int) -> int:
        residual = new * self.dim * itemsize
        attention = self.attention.activation_bytes(self.dim, new=new, seen=seen, itemsize=itemsize)
        dense = 3 * new * self.intermediate_size * itemsize
        experts = self.moe.activation_bytes(self.dim, new=new, itemsize=itemsize) if self.moe else 0
        layers = (experts if self.is_moe_layer(index) else dense for index in range(self.num_hidden_layers))
        return max(2 * residual + attention, 3 * residual + max(layers))

    @model_validator(mode="after")
    def _check(self) -> DeepseekV2Config:
        attention = self.attention
        if isinstance(attention, MHAConfig):
            heads = attention.num_attention_heads
            if attention.head_dim is None and self.hidden_size % heads:
                raise ConfigError(
                    f"hidden_size {self.hidden_size} with {heads} heads",
                    rule="heads divide the width",
                    remedy="change one of them or give head_dim",
                )
            if heads % attention.kv_heads:
                raise ConfigError(
                    f"{heads} query heads with {attention.kv_heads} key/value heads",
                    rule="the latter divide the former",
                )
            if isinstance(self.rope_scaling, YarnScaling):
                raise ConfigError(
                    "rope_scaling 'yarn' with multi-head attention",
                    rule="multi-head attention here scales 'linear' or 'dynamic', as the official code",
                    remedy="use one of these, or latent attention",
                )
        rotated = attention.rope_dim(self.hidden_size)
        if rotated % 2 or (rotated == 2 and isinstance(self.rope_scaling, DynamicScaling)):
            raise ConfigError(f"rotated head width {rotated}", rule="it is even, and above 2 for dynamic scaling")
        return self


class DeepseekV2Layer(nn.Module):
    """Pre-norm layer: attention, then a dense MLP or experts.

    Args:
        config: the decoder's.
        index: number of the layer, which decides between MLP and experts.
    """

    def __init__(self, config: DeepseekV2Config, *, index: int) -> None:
        super().__init__()
        dim, attention = config.hidden_size, config.attention
        self.input_layernorm = RMSNorm(dim, eps=config.rms_norm_eps)
        if isinstance(attention, MLAConfig):
            factor = config.rope_scaling.softmax_factor if config.rope_scaling else 1.0
            self.self_attn: MLA | MHA = MLA(attention, dim=dim, softmax_factor=factor)
        else:
            self.self_attn = MHA(attention, dim=dim)
        self.post_attention_layernorm = RMSNorm(dim, eps=config.rms_norm_eps)
        self.mlp: MoE | GatedMLP
        if config.moe is not None and config.is_moe_layer(index):
            self.mlp = MoE(config.moe, dim=dim)
        else:
            self.mlp = GatedMLP(dim, config.intermediate_size)

    def forward(
        self, x_BTD: Tensor, *, rotation: Rotation, mask_BTS: Tensor | None, cache: LayerCache | None
    ) -> tuple[Tensor, Routing | None]:
        """Features float[B, T, D] and, with experts, their routing."""
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rotation=rotation, mask_BTS=mask_BTS, cache=cache)
        normed = self.post_attention_layernorm(x_BTD)
        if isinstance(self.mlp, MoE):
            out, routing = self.mlp(normed)
            return x_BTD + out, routing
        return x_BTD + self.mlp(normed), None


@decoders.register(DeepseekV2Config)
class DeepseekV2(Decoder):
    """Causal decoder; parameter names follow the released checkpoints, with the experts stacked."""

    config: DeepseekV2Config

    def __init__(self, config: DeepseekV2Config) -> None:
        super().__init__(config)
        self.rope = Rope(
            dim=config.attention.rope_dim(config.hidden_size),
            theta=config.rope_theta,
            max_positions=config.max_position_embeddings,
            scaling=config.rope_scaling,
        )
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DeepseekV2Layer(config, index=index) for index in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        tied = config.tie_word_embeddings
        self.lm_head = None if tied else Linear(config.hidden_size, config.vocab_size, bias=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all matrices anew from a normal distribution of `initializer_range`; norms 1, biases 0."""
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=self.config.initializer_range)
            else:
                nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)

    @property
    def packs(self) -> bool:
        return True

    def embed(self, input_ids: Tensor) -> Tensor:
        return self.embed_tokens(input_ids)

    def forward(
        self,
        x_BTD: Tensor,
        *,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: KVCache | None = None,
        output_hidden_states: bool = False,
        output_routing: bool = False,
        mask_BTS: Tensor | None = None,
        sequence_ids: Tensor | None = None,
    ) -> DecoderOutput:
        """As `Decoder.forward`; `mask_BTS`, bool[B, T, S], may say in place of the padding what each position sees.

        Or `sequence_ids`, int64[B, T], names the sample at each position, from 1, each in one piece, and 0 on padding:
        samples of a row do not see each other, have positions of their own, and are balanced each for itself.
        """
        batch, new, _ = x_BTD.shape
        past = cache.length if cache else 0
        self.require_context(past + new)
        if cache is None and attention_mask is not None and attention_mask.shape != (batch, new):
            raise ShapeError(
                f"attention_mask of shape {list(attention_mask.shape)} for embeddings of shape {list(x_BTD.shape)}",
                rule=f"without a cache it covers exactly these positions: [{batch}, {new}]",
            )
        if sequence_ids is not None:
            if cache is not None or sequence_ids.shape != (batch, new):
                raise InputError(
                    f"sequence_ids of shape {list(sequence_ids.shape)}{' with a cache' if cache else ''}",
                    rule=f"they name the sample at each position, [{batch}, {new}], and go with no cache",
                )
            attention_mask, mask_BTS = sequence_ids > 0, packed_causal_mask(sequence_ids)
            position_ids = packed_positions(sequence_ids) if position_ids is None else position_ids
        mask_BS = attention_mask if cache is None else cache.extend_mask(new, attention_mask, batch=batch)
        if position_ids is None:
            position_ids = torch.arange(past, past + new, device=x_BTD.device).expand(batch, new)
        rotation = self.rope(position_ids)
        if mask_BTS is None and mask_BS is not None:
            mask_BTS = padded_causal_mask(mask_BS.bool(), new)
        counted_BT = (torch.ones_like(position_ids) if mask_BS is None else mask_BS[:, -new:]).bool()

        hidden_states, routings, aux_losses = [], {}, []
        if cache:
            cache.device = x_BTD.device
        for index, layer in enumerate(self.layers):
            if output_hidden_states:
                hidden_states.append(x_BTD)
            if cache:
                cache.policy.before_layer(cache, index)
            x_BTD, routing = layer(
                x_BTD, rotation=rotation, mask_BTS=mask_BTS, cache=cache.layers[index] if cache else None
            )
            if cache:
                cache.policy.after_layer(cache, index)
            if routing is not None and self.training:
                aux_losses.append(self.balance_loss(routing, counted_BT, sequence_ids))
            if routing is not None and output_routing:
                routings[index] = routing
        x_BTD = self.norm(x_BTD)
        return DecoderOutput(
            x_BTD,
            hidden_states=(*hidden_states, x_BTD) if output_hidden_states else (),
            routings=routings if output_routing else None,
            aux_loss=torch.stack(aux_losses).sum() if aux_losses else None,
        )

    def balance_loss(self, routing: Routing, mask_BT: Tensor, sequence_ids: Tensor | None = None) -> Tensor:
        """One layer's share of the auxiliary loss."""
        assert self.config.moe is not None
        if sequence_ids is not None and self.config.moe.seq_aux:
            return self.config.moe.aux_loss_alpha * packed_balance_loss(routing, sequence_ids)
        loss = sequence_balance_loss if self.config.moe.seq_aux else batch_balance_loss
        return self.config.moe.aux_loss_alpha * loss(routing, mask_BT)

    def logits(self, x_BTD: Tensor) -> Tensor:
        weight = self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight
        return linear(x_BTD, weight)
