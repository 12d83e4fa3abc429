"""Decoders put to the test: what they are run on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vlkit.cache.base import KVCache
from vlkit.decoders.base import Decoder, DecoderConfig, decoders
from vlkit.testing.building_laws import BUILDING_LAWS
from vlkit.testing.comparing import normal
from vlkit.testing.config_laws import CONFIG_LAWS
from vlkit.testing.decoder_cache_laws import CACHE_LAWS
from vlkit.testing.decoder_laws import DECODER_LAWS
from vlkit.testing.forward_laws import FORWARD_LAWS
from vlkit.testing.module_subject import ModuleSubject
from vlkit.testing.packing_law import packing
from vlkit.testing.start_laws import START_LAWS
from vlkit.testing.subject import Options
from vlkit.testing.tool_laws import TOOL_LAWS

LENGTH = 8
"""Positions of a sample, unless the decoder has fewer."""


class DecoderSubject(ModuleSubject):
    """A decoder.

    Args:
        target: a tag, a config class, a config, or a decoder.
        options: as in `Options`.
    """

    kind = "decoder"
    registry, contract = decoders, Decoder
    laws = (*CONFIG_LAWS, *START_LAWS, *DECODER_LAWS, packing, *CACHE_LAWS, *BUILDING_LAWS, *FORWARD_LAWS, *TOOL_LAWS)
    x_name = "the embeddings"
    config: DecoderConfig

    def __init__(self, target: Any, options: Options) -> None:
        super().__init__(target, options)
        self.length = min(LENGTH, self.config.max_positions or LENGTH)

    def decoder(self) -> Decoder:
        """Own copy of the decoder for evaluation."""
        part = self.part()
        assert isinstance(part, Decoder)
        return part

    def ids(self, samples: int = 2) -> Tensor:
        """Random token ids int64[B, T]."""
        generator = torch.Generator("cpu").manual_seed(5)
        return torch.randint(0, self.config.vocabulary, (samples, self.length), generator=generator, device="cpu")

    def x(self, samples: int = 2, seed: int = 0, dtype: torch.dtype | None = None) -> Tensor:
        return normal(seed, samples, self.length, self.config.dim, dtype=dtype or self.dtype)

    def output(self, part: nn.Module, x: Tensor) -> Tensor:
        assert isinstance(part, Decoder)
        return self.logits(part, x)

    def logits(self, decoder: Decoder, x: Tensor, **how: Any) -> Tensor:
        """Logits of all new positions; `how` are forward's other arguments."""
        return decoder.logits(decoder(x, **how).x_BTD)

    def in_chunks(
        self, decoder: Decoder, x: Tensor, chunks: Sequence[int], cache: KVCache, mask: Tensor | None = None
    ) -> Tensor:
        """Logits of positions that come in chunks; the mask is of all positions."""
        outs, seen = [], 0
        for chunk in x.split(list(chunks), dim=1):
            seen += chunk.shape[1]
            outs.append(
                self.logits(decoder, chunk, cache=cache, attention_mask=mask if mask is None else mask[:, :seen])
            )
        return torch.cat(outs, dim=1)

    def left_padded(self) -> Tensor:
        """Mask bool[3, T]: one sample without padding, one with some, one that is nearly all padding."""
        pads = torch.tensor([0, self.length // 2, self.length - 1])
        return torch.arange(self.length) >= pads[:, None]

    def everything(self, part: nn.Module, x: Tensor) -> list[Tensor]:
        assert isinstance(part, Decoder)
        return [self.output(part, x), part.embed(self.ids())]
