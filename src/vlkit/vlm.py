"""The general assembly: any encoder, projector, layout and decoder as one vision-language model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlkit.cache.base import KVCache
from vlkit.decoders.base import Decoder, DecoderOutput, decoders
from vlkit.encoders.base import Encoder, encoders
from vlkit.errors import InputError, ShapeError
from vlkit.generate import CacheSpec, generate_ids, generate_text, prefill
from vlkit.generation import collect
from vlkit.image_inputs import ImageInputs
from vlkit.layouts.base import Layout, layouts
from vlkit.nn.router import Routing
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, projectors
from vlkit.vlm_config import VLMConfig


@dataclass
class VLMOutput:
    """What a forward pass gives.

    Args:
        logits: float32[B, T', vocabulary] of the last T' positions asked for; None if none were.
        loss: cross entropy of each next token, mean over the counted labels; None without labels.
        aux_loss: balance loss of the experts in training, to be added to `loss`; None outside training.
        cache: the cache with the new positions in it, if one was asked for.
        inputs_embeds: embeddings float[B, T, D] with the image tokens in their places.
        hidden_states: `inputs_embeds`, each layer's output, the last one normalised; empty unless asked for.
        routings: routing of each layer with experts by its index; None unless asked for.
    """

    logits: Tensor | None
    loss: Tensor | None
    aux_loss: Tensor | None
    cache: KVCache | None
    inputs_embeds: Tensor
    hidden_states: tuple[Tensor, ...] = ()
    routings: dict[int, Routing] | None = None


class VLM(nn.Module):
    """Encoder, projector, layout and decoder as one model.

    Args:
        config: the whole model.
        parts: modules to use in place of the ones that the config describes, by the names of the four parts.
    """

    def __init__(self, config: VLMConfig, **parts: nn.Module) -> None:
        super().__init__()
        self.config = config
        in_dim, out_dim = config.encoder.feature_dim, config.decoder.dim
        self.encoder: Encoder = parts.get("encoder") or encoders.build(config.encoder)  # type: ignore[assignment]
        self.projector: Projector = parts.get("projector") or projectors.build(  # type: ignore[assignment]
            config.projector, in_dim=in_dim, out_dim=out_dim
        )
        self.layout: Layout = parts.get("layout") or layouts.build(config.layout, dim=out_dim)  # type: ignore[assignment]
        self.decoder: Decoder = parts.get("decoder") or decoders.build(config.decoder)  # type: ignore[assignment]

    @property
    def device(self) -> torch.device:
        """Device of the decoder's weights."""
        return next(self.decoder.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the decoder's weights."""
        return next(self.decoder.parameters()).dtype

    def encode_images(self, pixels: Tensor, tile_grids: Sequence[Grid]) -> Tensor:
        """Image tokens float[L, D] of all images.

        Args:
            pixels: float[N, 3, height, width], for every image its global view, then its tiles row by row.
            tile_grids: tile rows and columns of each image.
        """
        x_NYXW = self.encoder(pixels.to(self.dtype))
        x_NYXD = self.projector(x_NYXW)
        return self.layout(x_NYXD, tile_grids)

    def prepare_inputs_embeds(
        self,
        input_ids: Tensor,
        images: Tensor | None = None,
        images_seq_mask: Tensor | None = None,
        images_spatial_crop: Tensor | None = None,
    ) -> Tensor:
        """Embeddings of the text with the image tokens in their places.

        Args:
            input_ids: int64[B, T]; the ids at image positions do not matter.
            images: float[B, n, 3, height, width], per sample each image's global view, then its tiles; zeros fill up.
            images_seq_mask: bool[B, T], True at image positions.
            images_spatial_crop: int64[B, m, 2], tiles across and down per image; (0, 0) ends a sample's list.

        Returns:
            x_BTD: float[B, T, D].

        Raises:
            InputError: if ids are outside the vocabulary or inputs that belong together are missing.
            ShapeError: if images, crops and image positions do not fit each other.
        """
        self._require_known_ids(input_ids)
        x_BTD = self.decoder.embed(input_ids)
        inputs = ImageInputs.gather(images, images_seq_mask, images_spatial_crop, samples=len(input_ids))
        if inputs is None:
            return x_BTD
        inputs.require_places(lambda tiles: self.config.layout.count(tiles, self.config.grid))
        tokens_LD = self.encode_images(inputs.pixels, [tiles for grids in inputs.tile_grids for tiles in grids])
        return x_BTD.masked_scatter(inputs.places[..., None], tokens_LD.to(x_BTD.dtype))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        images: Tensor | None = None,
        images_seq_mask: Tensor | None = None,
        images_spatial_crop: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        inputs_embeds: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: CacheSpec | None = None,
        logits_to_keep: int | None = None,
        output_hidden_states: bool = False,
        output_routing: bool = False,
    ) -> VLMOutput:
        """One pass over T new positions.

        Args:
            input_ids: int64[B, T]; with `images`, `images_seq_mask` and `images_spatial_crop` as in
                `prepare_inputs_embeds`.
            attention_mask: bool[B, T], or bool[B, S] with a cache; False on padding.
            labels: int64[B, T], the token at each position, -100 where it is not counted.
            inputs_embeds: float[B, T, D] in place of ids and images.
            position_ids: int64[B, T]; None: counted from the left edge, padding included.
            cache: a policy to start a cache with, or the cache of earlier positions.
            logits_to_keep: number of last positions that get logits; None: all, 0: none (the loss needs none).
        """
        if inputs_embeds is None:
            if input_ids is None:
                raise InputError("neither input_ids nor inputs_embeds", rule="one of them is given")
            inputs_embeds = self.prepare_inputs_embeds(input_ids, images, images_seq_mask, images_spatial_crop)
        kv_cache = cache if cache is None or isinstance(cache, KVCache) else self.decoder.new_cache(cache)
        decoded = self.decoder(
            inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=kv_cache,
            output_hidden_states=output_hidden_states,
            output_routing=output_routing,
        )
        return self._output(decoded, inputs_embeds, kv_cache, labels=labels, logits_to_keep=logits_to_keep)

    def _output(
        self,
        decoded: DecoderOutput,
        inputs_embeds: Tensor,
        cache: KVCache | None,
        *,
        labels: Tensor | None,
        logits_to_keep: int | None,
    ) -> VLMOutput:
        kept_BTD = decoded.x_BTD if logits_to_keep is None else decoded.x_BTD[:, -logits_to_keep:]
        return VLMOutput(
            logits=None if logits_to_keep == 0 else self.decoder.logits(kept_BTD).float(),
            loss=None if labels is None else self.loss(decoded.x_BTD, labels),
            aux_loss=decoded.aux_loss,
            cache=cache,
            inputs_embeds=inputs_embeds,
            hidden_states=decoded.hidden_states,
            routings=decoded.routings,
        )

    def loss(self, x_BTD: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy of each next token, with logits only at the positions that count.

        Args:
            x_BTD: hidden states float[B, T, D].
            labels: int64[B, T], -100 where not counted.

        Raises:
            ShapeError: if the labels have another shape.
        """
        if labels.shape != x_BTD.shape[:2]:
            raise ShapeError(f"labels of shape {list(labels.shape)}", rule=f"one per position: {list(x_BTD.shape[:2])}")
        counted_BT = labels[:, 1:] != -100
        logits_MV = self.decoder.logits(x_BTD[:, :-1][counted_BT]).float()
        return F.cross_entropy(logits_MV, labels[:, 1:][counted_BT])

    def incremental_prefilling(
        self, *, chunk_size: int = 1024, cache: CacheSpec = "offload", **inputs: Any
    ) -> VLMOutput:
        """Prefill in chunks, so that memory stays bounded; see `vlkit.generate.prefill`.

        Args:
            chunk_size: new positions per pass.
            cache: policy of the cache, or a cache that holds a prefix already.
            inputs: as in `forward`, without labels.

        Returns:
            `logits` of the last position, float32[B, 1, vocabulary], the filled `cache`, and `inputs_embeds`; pass
            `cache=out.cache` and the same inputs to `generate` to go on.
        """
        return prefill(self, chunk_size=chunk_size, cache=cache, **inputs)

    def generate(self, **inputs: Any) -> Tensor:
        """New token ids int64[B, <= max_new_tokens]; arguments as in `vlkit.generate.generate_ids`."""
        return collect(generate_ids(self, **inputs), rows=_samples(inputs), device=self.device)

    def stream(self, tokenizer: Any, **inputs: Any) -> Iterator[str]:
        """Text of one sample, piece by piece; arguments as in `vlkit.generate.generate_text`."""
        return generate_text(self, tokenizer, **inputs)

    def _require_known_ids(self, input_ids: Tensor) -> None:
        vocabulary = self.config.decoder.vocabulary
        if input_ids.ndim != 2:
            raise ShapeError(f"input_ids of shape {list(input_ids.shape)}", rule="they are int64[B, T]")
        if input_ids.numel() and not input_ids.is_meta:
            low, high = (int(bound) for bound in input_ids.aminmax())
            if low < 0 or high >= vocabulary:
                raise InputError(
                    f"input_ids from {low} to {high}",
                    rule=f"the vocabulary has ids 0 to {vocabulary - 1}",
                    remedy="use the tokenizer that belongs to the checkpoint",
                )


def _samples(inputs: Mapping[str, Any]) -> int:
    given = inputs.get("input_ids")
    return len(given if given is not None else inputs["inputs_embeds"])
