"""What a prompt with pictures takes of the device's memory, by arithmetic alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vlkit.cache.base import CachePolicyConfig, cache_policies
from vlkit.decoders.base import DecoderConfig
from vlkit.description.costs import Context
from vlkit.description.parameters import Parameters
from vlkit.description.unknown import add, larger, multiply
from vlkit.notation import Size
from vlkit.vlm_config import VLMConfig


@dataclass(frozen=True)
class Memory:
    """Bytes, on the device unless said otherwise; None where a part does not tell.

    Weights, cache and `read_per_token` are exact. Activations are estimates: the sum of the tensors that the code holds
    at its hungriest line, for one sample, without gradients, prefilled in one pass. What an allocator or a library
    takes for itself comes on top, as does what a CPU without products in half precision widens in it: the input of one
    layer, and a few MiB of its weights.

    Args:
        policy: tag of the cache policy.
        weights: all parameters.
        cache_per_token: keys and values, or latents, of one position in all layers, as the policy keeps them.
        cache: what all layers reserve for all positions, wherever it lives.
        cache_on_device: the most of `cache` that is on the device at once, as the policy says.
        vision: pixels (as given, put together and converted), the prompt's embeddings, and all views in the encoder at
            once. Projector and layout need less.
        prefill: pixels, then the decoder on the prompt, or the logits of the last position in two types.
        decode: the decoder on one token, or its logits.
        peak: weights, and the larger of `vision` and of the cache on the device with `prefill` or `decode`; a quantized
            cache adds the layer that is read back.
        read_per_token: least that one decoded token reads, which bounds its speed: active weights of the decoder, and
            the cache of all positions.
    """

    policy: str
    weights: int | None
    cache_per_token: int | None
    cache: int | None
    cache_on_device: int | None
    vision: int | None
    prefill: int | None
    decode: int | None
    peak: int | None
    read_per_token: int | None

    @classmethod
    def estimate(
        cls,
        config: VLMConfig,
        *,
        tiles: int,
        overviews: int,
        context: Context,
        parameters: Parameters,
        itemsize: int,
        policy: str | CachePolicyConfig,
    ) -> Memory:
        """Memory of one sample, `itemsize` being the bytes of one number.

        Raises:
            RegistryError: if there is no such cache policy.
        """
        cache_config, decoder = cache_policies.resolve(policy), config.decoder
        last = max(context.positions, 1)
        tile, overview = config.tile_size, Size(*(config.global_view_size or config.tile_size))
        pixels = 3 * (tiles * tile.width * tile.height + overviews * overview.width * overview.height)
        copies = 4 if itemsize == 4 else 4 + itemsize
        embeds = context.prefill * decoder.dim * itemsize
        logits = decoder.vocabulary * (itemsize + 4)
        weights, read = multiply(itemsize, parameters.total), multiply(itemsize, parameters["decoder"].active)
        kept, positions, layers = _vectors(decoder), context.positions, decoder.num_layers
        per_token = cache_config.token_bytes(kept, itemsize) if kept else None
        cache = cache_config.cache_bytes(kept, itemsize, positions=positions) if kept else None
        on_device, scratch = (
            size(kept, itemsize, positions=positions, layers=layers) if kept else None
            for size in (cache_config.device_bytes, cache_config.scratch_bytes)
        )
        encoder = _encoder_bytes(config, tiles=tiles, overviews=overviews, itemsize=itemsize)
        vision = add((pixels * (4 + copies) + embeds, encoder)) if overviews else 0
        prefill = add((4 * pixels, _pass_bytes(decoder, context.prefill, context.prefill, itemsize, logits)))
        decode = _pass_bytes(decoder, 1, last, itemsize, logits)
        decoding = add((on_device, scratch, larger(prefill, decode)))
        return cls(
            policy=cache_config.type,
            weights=weights,
            cache_per_token=per_token,
            cache=cache,
            cache_on_device=on_device,
            vision=vision,
            prefill=prefill,
            decode=decode,
            peak=add((weights, larger(vision, decoding))),
            read_per_token=add((read, multiply(context.positions, per_token))),
        )


def _vectors(decoder: DecoderConfig) -> Mapping[int, int]:
    """Vectors that the cache keeps per token, or all its numbers as one vector if their widths are not known."""
    values = decoder.cached_values()
    return decoder.cached_vectors() or ({values: 1} if values else {})


def _encoder_bytes(config: VLMConfig, *, tiles: int, overviews: int, itemsize: int) -> int | None:
    """Activations of all views at once, or of tiles and global views in turn if their sizes differ."""
    tile = config.encoder.activation_bytes(config.tile_size, itemsize) or None
    if config.global_view_size is None:
        return multiply(tiles + overviews, tile)
    overview = config.encoder.activation_bytes(Size(*config.global_view_size), itemsize) or None
    return larger(multiply(tiles, tile), multiply(overviews, overview))


def _pass_bytes(decoder: DecoderConfig, new: int, seen: int, itemsize: int, logits: int) -> int | None:
    if new == 0:
        return 0
    activations = decoder.activation_bytes(new, seen, itemsize)
    return max(activations, logits) if activations else None
