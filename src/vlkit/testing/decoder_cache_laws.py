"""Laws of a decoder with a cache: the same numbers as without, however the positions come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from vlkit.cache.base import CachePolicy, KVCache
from vlkit.errors import ContextLengthError
from vlkit.testing.comparing import normal, require_near
from vlkit.testing.law import Broken, Skipped, law

if TYPE_CHECKING:
    from vlkit.testing.decoder import DecoderSubject

SHORT = 64
"""Most positions of a decoder whose cache is filled to the limit."""


def _splits(length: int) -> list[list[int]]:
    """Ways to come in chunks."""
    half = length // 2
    return [split for split in ([length], [half, length - half], [length - 1, 1], [1, length - 1]) if min(split) > 0]


@law(crash="forward with a cache takes another path, which fails")
def cached(subject: DecoderSubject) -> None:
    """Position by position with a cache, the results are those of the whole without."""
    decoder, x, mask_BT = subject.decoder(), subject.x(samples=3), subject.left_padded()
    with torch.no_grad():
        for mask in (None, mask_BT):
            real = slice(None) if mask is None else mask
            cache = decoder.new_cache()
            found = subject.in_chunks(decoder, x, [1] * subject.length, cache, mask)
            require_near(
                found[real],
                subject.logits(decoder, x, attention_mask=mask)[real],
                f"position by position{'' if mask is None else ', padded on the left,'} the results are others",
                likely="positions or rotary tables do not start at cache.length, or the mask covers new positions only",
                remedy="count positions from cache.length on; use what cache.extend_mask gives",
            )
            if cache.length != subject.length:
                raise Broken(
                    f"after {subject.length} positions the cache has {cache.length}",
                    likely="the last layer does not append to its cache.layers entry",
                )


@law()
def chunked(subject: DecoderSubject) -> None:
    """In chunks with a cache, the results are those of the whole without, with gradients or without."""
    decoder, x, mask_BT = subject.decoder(), subject.x(samples=3), subject.left_padded()
    for recorded in (False, True):
        with torch.set_grad_enabled(recorded):
            for chunks in _splits(subject.length):
                found = subject.in_chunks(decoder, x, chunks, decoder.new_cache(), mask_BT)
                require_near(
                    found[mask_BT],
                    subject.logits(decoder, x, attention_mask=mask_BT)[mask_BT],
                    f"in chunks of {chunks} {'with' if recorded else 'without'} gradients the results are others",
                    likely="the causal mask of a chunk is aligned with the first position instead of the last",
                    remedy="let new position t see the past and new positions up to t",
                )


@law()
@torch.no_grad()
def crop(subject: DecoderSubject) -> None:
    """After `cache.crop` the decoder goes on as if the rest had never been."""
    decoder, x, kept = subject.decoder(), subject.x(samples=2), subject.length // 2
    other = torch.cat([x[:, :kept], normal(3, *x[:, kept:].shape, dtype=x.dtype)], dim=1)
    cache = decoder.new_cache()
    subject.logits(decoder, x, cache=cache)
    cache.crop(kept)
    require_near(
        subject.logits(decoder, other[:, kept:], cache=cache),
        subject.logits(decoder, other)[:, kept:],
        f"after a crop from {subject.length} to {kept} positions it goes on with others",
        likely="the decoder keeps positions, masks or keys of its own beside the cache",
        remedy="keep everything in cache.layers, and read cache.length",
    )


@law()
@torch.no_grad()
def reorder(subject: DecoderSubject) -> None:
    """After `cache.reorder` every row goes on with the sample that was chosen for it."""
    decoder, x, kept = subject.decoder(), subject.x(samples=3), subject.length // 2
    mask_BT, rows = subject.left_padded(), torch.tensor([2, 0, 0, 1])
    cache = decoder.new_cache()
    subject.logits(decoder, x[:, :kept], cache=cache, attention_mask=mask_BT[:, :kept])
    cache.reorder(rows)
    mask = mask_BT[rows]
    require_near(
        subject.logits(decoder, x[rows][:, kept:], cache=cache)[mask[:, kept:]],
        subject.logits(
            decoder, x[rows], attention_mask=torch.cat([mask[:, :kept], torch.ones_like(mask[:, kept:])], 1)
        )[:, kept:][mask[:, kept:]],
        "after a reordering the samples go on with others' positions",
        likely="the decoder keeps positions, masks or keys of its own beside the cache",
        remedy="keep everything in cache.layers, and the mask in cache.extend_mask",
    )


@law()
@torch.no_grad()
def policy_calls(subject: DecoderSubject) -> None:
    """The cache's policy is told before and after every layer, in order, and where the decoder computes."""
    decoder, x, calls = subject.decoder(), subject.x(), []

    class Watch(CachePolicy):
        def before_layer(self, cache: KVCache, index: int) -> None:
            calls.append(("before", index, cache.layers[index].length))

        def after_layer(self, cache: KVCache, index: int) -> None:
            calls.append(("after", index, cache.layers[index].length))

    cache = decoder.new_cache()
    cache.policy = Watch(cache.policy.config)
    cache.device = torch.device("meta")
    seen = 0
    for chunk in x.split([subject.length - 1, 1] if subject.length > 1 else [1], dim=1):
        calls.clear()
        decoder(chunk, cache=cache)
        past, seen = seen, seen + chunk.shape[1]
        expected = [
            call
            for index in range(subject.config.num_layers)
            for call in (("before", index, past), ("after", index, seen))
        ]
        if calls != expected:
            raise Broken(
                f"the policy was told {calls[:6]}, not {expected[:6]} ((when, layer, positions in its cache), ...)",
                likely="before_layer or after_layer is not called around each layer, or layers share a cache",
                remedy="cache.policy.before_layer(cache, index), the layer with cache.layers[index], after_layer",
            )
    if cache.device != x.device:
        raise Broken(
            f"cache.device is {cache.device} after forward on {x.device}",
            likely="forward does not say where it computes",
            remedy="set cache.device = x_BTD.device before the first layer",
        )


@law()
@torch.no_grad()
def cached_vectors(subject: DecoderSubject) -> None:
    """The cache keeps the vectors per token that the config says."""
    declared = {width: count for width, count in subject.config.cached_vectors().items() if count}
    if not declared:
        raise Skipped("the config does not say what is cached")
    decoder, x, samples = subject.decoder(), subject.x(samples=2), 2
    cache = decoder.new_cache()
    decoder(x, cache=cache)
    kept: Counter[int] = Counter()
    for layer in cache.layers:
        for tensor in layer.tensors:
            kept[tensor.shape[-1]] += tensor.numel() // (samples * subject.length * tensor.shape[-1])
    if kept != declared:
        raise Broken(
            f"per token the cache keeps {_vectors(kept)}; cached_vectors says {_vectors(declared)}",
            likely="keys and values are repeated for all query heads before they are cached, or not counted per layer",
            remedy="cache keys and values as they are projected; count those of all layers",
        )


def _vectors(counts: Mapping[int, int]) -> str:
    return ", ".join(f"{count} of width {width}" for width, count in sorted(counts.items()))


@law()
@torch.no_grad()
def cache_limit(subject: DecoderSubject) -> None:
    """What fits no more after the cached positions is refused, and leaves the cache as it was."""
    limit = subject.config.max_positions
    if limit is None or limit > SHORT:
        raise Skipped(f"it has {'no limit' if limit is None else f'{limit} positions'}; up to {SHORT} are tried")
    decoder, cache = subject.decoder(), None
    x = normal(4, 1, limit + 1, subject.config.dim, dtype=subject.dtype)
    cache = decoder.new_cache()
    decoder(x[:, : limit - 1], cache=cache)
    try:
        decoder(x[:, limit - 1 :], cache=cache)
    except ContextLengthError:
        if cache.length != limit - 1:
            raise Broken(
                f"a refused pass left {cache.length} positions in the cache, not {limit - 1}",
                likely="the length is looked at after the layers have run",
                remedy="begin forward with self.require_context(past + new)",
            ) from None
        return
    raise Broken(
        f"2 positions after {limit - 1} cached ones are taken, though max_positions is {limit}",
        likely="only new positions are counted",
        remedy="begin forward with self.require_context(past + new)",
    )


CACHE_LAWS = (cached, chunked, crop, reorder, policy_calls, cached_vectors, cache_limit)
