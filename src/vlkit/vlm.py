"""The general assembly: any encoder, projector, layout and decoder as one vision-language model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlkit.cache.base import KVCache
from vlkit.decoders.base import Decoder, DecoderOutput, decoders
from vlkit.encoders.base import Encoder, encoders
from vlkit.errors import ConfigError, InputError, ShapeError, did_you_mean
from vlkit.generate import CacheSpec, generate_ids, generate_text, prefill
from vlkit.generation import collect
from vlkit.image_inputs import ImageInputs
from vlkit.layouts.base import Layout, layouts
from vlkit.nn.attention import first_positions
from vlkit.nn.router import Routing
from vlkit.notation import Grid
from vlkit.projectors.base import Projector, projectors
from vlkit.text_inputs import require_known, require_one_per_position, require_text
from vlkit.vlm_config import VLMConfig

Reduction = Literal["mean", "sum"]
"""Of the losses of single labels to one."""


@dataclass
class VLMOutput:
    """What a forward pass gives.

    Args:
        logits: float[B, T', vocabulary] of the last T' positions asked for, in float32 or wider; None if none were.
        loss: cross entropy of each next token, mean or sum over the counted labels; None without labels.
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

    encoder: Encoder
    projector: Projector
    layout: Layout
    decoder: Decoder

    def __init__(self, config: VLMConfig, **parts: nn.Module) -> None:
        super().__init__()
        self.config = config
        in_dim, out_dim = config.encoder.feature_dim, config.decoder.dim
        makers: dict[str, Callable[[], nn.Module]] = {
            "encoder": lambda: encoders.build(config.encoder),
            "projector": lambda: projectors.build(config.projector, in_dim=in_dim, out_dim=out_dim),
            "layout": lambda: layouts.build(config.layout, dim=out_dim),
            "decoder": lambda: decoders.build(config.decoder),
        }
        for name in parts:
            if name not in makers:
                raise ConfigError(f"{name!r} is no part of the model; {did_you_mean(name, makers)}")
        for name, make in makers.items():
            self.add_module(name, parts[name] if name in parts else make())

    @property
    def device(self) -> torch.device:
        """Device of the decoder's weights."""
        return next(self.decoder.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the decoder's weights."""
        return next(self.decoder.parameters()).dtype

    def encode_images(self, pixels: Tensor, tile_grids: Sequence[Grid], global_views: Tensor | None = None) -> Tensor:
        """Image tokens float[L, D] of all images.

        Args:
            pixels: float[N, 3, height, width], for every image its global view, then its tiles row by row; only the
                tiles if the global views are given apart.
            tile_grids: tile rows and columns of each image.
            global_views: float[images, 3, height', width'], global views of a size of their own.

        Raises:
            ShapeError: if the pixels have a size that the encoder does not take, or a part gives another grid than its
                config says.
        """
        overviews_NYXD = None if global_views is None else self._project(global_views)
        return self.layout(self._project(pixels), tile_grids, overviews_NYXD)

    def _project(self, pixels: Tensor) -> Tensor:
        """Features float[N, Y, X, D] of views; no view is run through the encoder if there is none."""
        grid, dim = self.config.grid_of(self.config.encoder.size_of(pixels)), self.config.decoder.dim
        if len(pixels) == 0:
            return pixels.new_zeros(0, *grid, dim, dtype=self.dtype)
        x_NYXD = self.projector(self.encoder(pixels.to(self.dtype)))
        expected = (len(pixels), *grid, dim)
        if x_NYXD.shape != expected:
            raise ShapeError(
                f"encoder {type(self.encoder).__name__} and projector {type(self.projector).__name__} gave features of "
                f"shape {list(x_NYXD.shape)}",
                rule=f"by their configs they give [N, Y, X, D] = {list(expected)}",
                remedy="correct what the module gives, or the width, grid and downsample that were named for it",
            )
        return x_NYXD

    def prepare_inputs_embeds(
        self,
        input_ids: Tensor,
        images: Tensor | None = None,
        images_seq_mask: Tensor | None = None,
        images_spatial_crop: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        global_views: Tensor | None = None,
    ) -> Tensor:
        """Embeddings of the text with the image tokens in their places.

        Args:
            input_ids: int64[B, T]; at image positions any token of the vocabulary.
            images: float[B, n, 3, height, width], per sample each image's global view, then its tiles; zeros fill up.
                Tiles that the layout has no place for are left out.
            images_seq_mask: bool[B, T], True at image positions.
            images_spatial_crop: int64[B, m, 2], tiles across and down per image; (0, 0) ends a sample's list.
            attention_mask: accepted, so that all of a processor's output can be passed, and not used.
            labels: likewise.
            global_views: float[B, m, 3, height', width'], the global view of each image if it has a size of its own;
                `images` then holds the tiles only.

        Returns:
            x_BTD: float[B, T, D].

        Raises:
            InputError: if ids are outside the vocabulary or inputs that belong together are missing.
            ShapeError: if images, crops and image positions do not fit each other.
        """
        positions = self.require_text(input_ids, None)
        x_BTD = self.decoder.embed(input_ids)
        inputs = ImageInputs.gather(
            images,
            images_seq_mask,
            images_spatial_crop,
            global_views,
            samples=len(input_ids),
            tile_count=self.config.layout.tile_count,
        )
        if inputs is None:
            return x_BTD
        grid, overview = self._grid_of(inputs.images), self._grid_of(inputs.global_views)
        inputs.require_places(
            positions, lambda tiles: self.config.layout.count(tiles, grid or self.config.grid, overview)
        )
        tile_grids = [tiles for grids in inputs.tile_grids for tiles in grids]
        tokens_LD = self.encode_images(inputs.pixels, tile_grids, inputs.overviews)
        return x_BTD.masked_scatter(inputs.places[..., None], tokens_LD.to(x_BTD.dtype))

    def _grid_of(self, images: Tensor | None) -> Grid | None:
        """Rows and columns of tokens that each view in float[B, n, 3, height, width] becomes."""
        return None if images is None else self.config.grid_of(self.config.encoder.size_of(images.flatten(0, 1)))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        images: Tensor | None = None,
        images_seq_mask: Tensor | None = None,
        images_spatial_crop: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        global_views: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        position_ids: Tensor | None = None,
        sequence_ids: Tensor | None = None,
        cache: CacheSpec | None = None,
        logits_to_keep: int | None = None,
        output_hidden_states: bool = False,
        output_routing: bool = False,
        reduction: Reduction = "mean",
    ) -> VLMOutput:
        """One pass over T new positions.

        Args:
            input_ids: int64[B, T]; with `images`, `images_seq_mask` and `images_spatial_crop` as in
                `prepare_inputs_embeds`.
            attention_mask: bool[B, T], or bool[B, S] with a cache; False on padding.
            labels: int64[B, T], the token at each position, -100 where it is not counted.
            global_views: as in `prepare_inputs_embeds`.
            inputs_embeds: float[B, T, D] in place of ids and images.
            position_ids: int64[B, T]; None: counted from the left edge, padding included.
            sequence_ids: int64[B, T], where several samples share a row: number of the sample at each position, from 1,
                each in one piece, and 0 on padding. Samples do not see each other, count their positions from 0, and
                the first label of each is not counted. The mask of padding follows from it; not every decoder takes it.
            cache: a policy to start a cache with, or the cache of earlier positions.
            logits_to_keep: number of last positions that get logits; None: all, 0: none (the loss needs none).
            reduction: whether the loss is the mean over the counted labels or their sum.

        Raises:
            InputError, ShapeError: if the inputs do not fit each other, the model or the cache.
            ContextLengthError: if there are more positions than the decoder has.
        """
        if logits_to_keep is not None and logits_to_keep < 0:
            raise InputError(f"logits_to_keep {logits_to_keep}", rule="it is None or a number of positions, 0 or more")
        if inputs_embeds is None and input_ids is not None:
            inputs_embeds = self.prepare_inputs_embeds(
                input_ids, images, images_seq_mask, images_spatial_crop, global_views=global_views
            )
        positions = self.require_text(None, inputs_embeds)
        assert inputs_embeds is not None
        for name, values in {"position_ids": position_ids, "labels": labels, "sequence_ids": sequence_ids}.items():
            if values is not None:
                require_one_per_position(name, values, positions)
        packed: dict[str, Tensor] = {}
        if sequence_ids is not None:
            packed = {"sequence_ids": self.require_packing(sequence_ids)}
            labels = None if labels is None else labels.masked_fill(first_positions(sequence_ids), -100)
        kv_cache = None if cache is None else self.open_cache(cache)
        decoded = self.decoder(
            inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=kv_cache,
            output_hidden_states=output_hidden_states,
            output_routing=output_routing,
            **packed,
        )
        return self._output(decoded, inputs_embeds, kv_cache, labels, logits_to_keep, reduction)

    def _output(
        self,
        decoded: DecoderOutput,
        inputs_embeds: Tensor,
        cache: KVCache | None,
        labels: Tensor | None,
        logits_to_keep: int | None,
        reduction: Reduction,
    ) -> VLMOutput:
        kept_BTD = decoded.x_BTD if logits_to_keep is None else decoded.x_BTD[:, -logits_to_keep:]
        return VLMOutput(
            logits=None if logits_to_keep == 0 else self.wide_logits(kept_BTD),
            loss=None if labels is None else self.loss(decoded.x_BTD, labels, reduction=reduction),
            aux_loss=decoded.aux_loss,
            cache=cache,
            inputs_embeds=inputs_embeds,
            hidden_states=decoded.hidden_states,
            routings=decoded.routings,
        )

    def loss(self, x_BTD: Tensor, labels: Tensor, *, reduction: Reduction = "mean") -> Tensor:
        """Cross entropy of each next token, with logits only at the positions that count.

        Args:
            x_BTD: hidden states float[B, T, D].
            labels: int64[B, T], -100 where not counted.
            reduction: mean over the counted labels, or their sum (0 if none is counted).

        Raises:
            ShapeError: if the labels have another shape.
            InputError: if a counted label is outside the vocabulary.
        """
        require_one_per_position("labels", labels, (x_BTD.shape[0], x_BTD.shape[1]))
        counted_BT = labels[:, 1:] != -100
        labels_M = labels[:, 1:][counted_BT]
        require_known("labels", labels_M, vocabulary=self.config.decoder.vocabulary)
        logits_MV = self.wide_logits(x_BTD[:, :-1][counted_BT])
        return F.cross_entropy(logits_MV, labels_M.long(), reduction=reduction)

    def wide_logits(self, x_BTD: Tensor) -> Tensor:
        """Logits in float32, or in the model's type if that is wider."""
        logits = self.decoder.logits(x_BTD)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def open_cache(self, cache: CacheSpec) -> KVCache:
        """Cache to go on with: a new one of this policy, or the given one.

        Raises:
            RegistryError: if there is no such policy.
            ShapeError: if the given cache is that of another decoder.
        """
        if not isinstance(cache, KVCache):
            return self.decoder.new_cache(cache)
        if len(cache.layers) != self.config.decoder.num_layers:
            raise ShapeError(
                f"a cache of {len(cache.layers)} layers for a decoder of {self.config.decoder.num_layers}",
                rule="a cache goes on with the decoder that filled it",
                remedy="name a policy, or pass the cache of an earlier output of this model",
            )
        return cache

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

    def require_packing(self, sequence_ids: Tensor) -> Tensor:
        """The numbers themselves, int64[B, T], if the decoder keeps several samples in a row apart.

        Raises:
            InputError: if it does not.
        """
        if not self.decoder.packs:
            raise InputError(
                f"sequence_ids for {type(self.decoder).__name__}",
                rule="this decoder does not keep several samples in a row apart",
                remedy="give each sample a row of its own: arrangement padded or bucketed",
            )
        return sequence_ids

    def require_text(self, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> tuple[int, int]:
        """Samples B and positions T of a text for this model; see `vlkit.text_inputs.require_text`."""
        decoder = self.config.decoder
        return require_text(input_ids, inputs_embeds, vocabulary=decoder.vocabulary, dim=decoder.dim)


def _samples(inputs: Mapping[str, Any]) -> int:
    given = inputs.get("input_ids")
    return len(given if given is not None else inputs["inputs_embeds"])
