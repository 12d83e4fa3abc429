"""The decoder contract: embeddings in, hidden states out, with a cache between calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import SerializeAsAny
from torch import Tensor, nn

from vlkit.cache.base import CachePolicyConfig, KVCache
from vlkit.config import Config
from vlkit.errors import ContextLengthError
from vlkit.nn.router import Routing
from vlkit.registry import Registry


class DecoderConfig(Config):
    """Base of decoder configs: says without weights what its neighbours must know."""

    type: str
    """Tag of the decoder."""

    @property
    def dim(self) -> int:
        """Width D."""
        raise NotImplementedError(f"{type(self).__name__} defines dim")

    @property
    def num_layers(self) -> int:
        """Layers that keep something in the cache."""
        raise NotImplementedError(f"{type(self).__name__} defines num_layers")

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        raise NotImplementedError(f"{type(self).__name__} defines vocabulary")

    @property
    def max_positions(self) -> int | None:
        """Longest sequence; None: no limit."""
        return None

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Token ids that end a generated text unless the caller names others."""
        return ()

    @property
    def padding_id(self) -> int | None:
        """Token id that fills up finished rows; None: the first stop id."""
        return None

    def cached_vectors(self) -> Mapping[int, int]:
        """Vectors that the cache keeps per token: how many of each width, over all layers; empty if unknown."""
        return {}

    def cached_values(self) -> int:
        """Numbers that the cache keeps per token, over all layers; 0 if unknown."""
        return sum(width * count for width, count in self.cached_vectors().items())

    def forward_flops(self, new: int, seen: int) -> int:
        """Floating-point operations of one sample's `new` positions among `seen`, without the head; 0 if unknown."""
        return 0

    def activation_bytes(self, new: int, seen: int, itemsize: int) -> int:
        """Most bytes alive at once in a pass over `new` of `seen` positions of one sample without gradients.

        Weights, cache and head are left out. An estimate; 0 if unknown.

        Args:
            new: new positions T.
            seen: positions S seen so far, the new ones included.
            itemsize: bytes of one number.
        """
        return 0


@dataclass
class DecoderOutput:
    """What a decoder gives.

    Args:
        x_BTD: hidden states after the last norm.
        hidden_states: input of each layer, then `x_BTD`; empty unless asked for.
        routings: routing of each layer by its index, empty unless asked for.
        aux_loss: balance loss in training, summed over layers; None outside training.
    """

    x_BTD: Tensor
    hidden_states: tuple[Tensor, ...] = ()
    routings: dict[int, Routing] | None = None
    aux_loss: Tensor | None = None


class Decoder(nn.Module):
    """Causal transformer over embeddings; subclasses define the four methods."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def dim(self) -> int:
        """Width D."""
        return self.config.dim

    @property
    def head(self) -> nn.Module | None:
        """Layer that gives the logits; None: a linear layer that the decoder itself holds, or the embedding."""
        return None

    @property
    def sparse(self) -> bool:
        """Whether a token uses only some parameters of modules other than `vlkit.nn.moe.MoE`."""
        return False

    @property
    def packs(self) -> bool:
        """Whether `forward` also takes `sequence_ids`, int64[B, T], so that several samples can share a row."""
        return False

    def embed(self, input_ids: Tensor) -> Tensor:
        """Embeddings float[B, T, D] of token ids int64[B, T]."""
        raise NotImplementedError

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
        """Hidden states of T new positions.

        Args:
            x_BTD: float[B, T, D].
            attention_mask: bool[B, T] or, with a cache, bool[B, S]; False on padding. None: no padding.
            position_ids: int64[B, T]; None: counted from the left edge, padding included.
            cache: earlier positions, to which the new ones are appended.
            output_hidden_states: whether to keep every layer's input.
            output_routing: whether to keep the routing of layers with experts.

        Raises:
            ContextLengthError: if there are more positions than the decoder has.
            ShapeError: if the mask does not fit the embeddings and the cache.
        """
        raise NotImplementedError

    def logits(self, x_BTD: Tensor) -> Tensor:
        """Scores of the next token, float[..., vocabulary], for hidden states float[..., D]."""
        raise NotImplementedError

    def new_cache(self, policy: str | Mapping[str, Any] | CachePolicyConfig = "resident") -> KVCache:
        """Empty cache of this decoder's layers."""
        return KVCache(self.config.num_layers, policy)

    def require_context(self, length: int) -> None:
        """Refuse sequences that are longer than the decoder's positions.

        Raises:
            ContextLengthError: naming both lengths.
        """
        limit = self.config.max_positions
        if limit is not None and length > limit:
            raise ContextLengthError(
                f"{length} positions",
                rule=f"this decoder has {limit} (max_position_embeddings)",
                remedy="shorten the text, use fewer or smaller images, or raise max_position_embeddings",
            )


decoders: Registry[DecoderConfig, Decoder] = Registry(
    "decoders",
    DecoderConfig,
    homes={
        "deepseek_v2": "vlkit.decoders.deepseek_v2",
        "hf_causal_lm": "vlkit.decoders.hf_causal_lm",
    },
)
AnyDecoder = Annotated[SerializeAsAny[DecoderConfig], decoders]
"""Field type that takes any registered decoder."""
