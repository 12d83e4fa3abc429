"""Laws of cache policies: wherever they keep a cache, the numbers are those of `resident`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vlkit.cache.base import KVCache
from vlkit.decoders.deepseek_v2 import DeepseekV2
from vlkit.testing.comparing import normal, require_near
from vlkit.testing.law import Broken, law
from vlkit.testing.reference import (
    BATCH,
    CHUNKS,
    DIM,
    LAYERS,
    LENGTH,
    VOCABULARY,
    left_padded,
    logits_of,
    reference_decoders,
)
from vlkit.testing.state import changes, read

if TYPE_CHECKING:
    from vlkit.testing.cache_policy import CachePolicySubject


@law(first=True, crash="the policy's methods take other arguments than CachePolicy's")
@torch.no_grad()
def logits(subject: CachePolicySubject) -> None:
    """For any chunks, padding and batch the logits are those of `resident`, bit for bit."""
    for batch, mask in ((1, None), (BATCH, left_padded())):
        x = normal(11, batch, LENGTH, DIM)
        for chunks in CHUNKS:
            subject.compare(
                partial(logits_of, x=x, chunks=chunks, mask=mask),
                f"the logits of {batch} samples in chunks of {chunks} are others than with 'resident'",
                likely="what is kept is rounded, scaled, or in another order",
            )


@law()
@torch.no_grad()
def layers(subject: CachePolicySubject) -> None:
    """After a pass every layer holds all positions, and its own."""
    for attention, decoder in reference_decoders().items():
        if len({id(layer) for layer in subject.cache().layers}) < LAYERS:
            raise Broken("several layers have one cache", likely="new_layer gives the same object each time")
        x, cache, resident = normal(12, BATCH, LENGTH, DIM), subject.cache(), decoder.new_cache("resident")
        logits_of(decoder, cache, x, [5, 3], left_padded())
        logits_of(decoder, resident, x, [5, 3], left_padded())
        lengths = [layer.length for layer in cache.layers]
        if lengths != [LENGTH] * LAYERS:
            raise Broken(
                f"after {LENGTH} positions the layers hold {lengths}",
                likely="a layer is cropped or replaced after it has run",
                remedy="keep every position until crop is called",
            )
        for index, (layer, expected) in enumerate(zip(cache.layers, resident.layers)):
            for found, right in zip(layer.tensors, expected.tensors, strict=True):
                require_near(
                    found.to(right.device),
                    right,
                    f"layer {index} holds other numbers ({attention})",
                    likely="before_layer and after_layer act on another layer than `index`",
                    near=subject.near,
                )


@law()
def gradients(subject: CachePolicySubject) -> None:
    """Gradients through a cache are those through `resident`."""

    def run(decoder: DeepseekV2, cache: KVCache) -> Tensor:
        x = normal(18, BATCH, LENGTH, DIM).requires_grad_()
        weighted = logits_of(decoder, cache, x, [5, 3]) * normal(19, BATCH, LENGTH, VOCABULARY)
        (gradient,) = torch.autograd.grad(weighted.sum(), x)
        return gradient

    subject.compare(
        run,
        "gradients through the cache are others than with 'resident'",
        likely="tensors are detached or written in place where they are moved",
    )


@law()
@torch.no_grad()
def independence(subject: CachePolicySubject) -> None:
    """Two caches of one policy do not know each other."""
    first, second = normal(20, BATCH, LENGTH, DIM), normal(21, BATCH, LENGTH, DIM)
    for attention, decoder in reference_decoders().items():
        caches = (subject.cache(), subject.cache())
        outs: list[list[Tensor]] = [[], []]
        for part in (slice(0, 5), slice(5, 8)):
            for number, x in enumerate((first, second)):
                outs[number].append(logits_of(decoder, caches[number], x[:, part], [x[:, part].shape[1]]))
        for number, x in enumerate((first, second)):
            require_near(
                torch.cat(outs[number], dim=1),
                logits_of(decoder, decoder.new_cache("resident"), x, [5, 3]),
                f"two caches in turn give other logits than each alone ({attention})",
                likely="the policy keeps tensors or counters on its class or in its module",
                remedy="keep them on the policy object, of which each cache has its own",
                near=subject.near,
            )


@law()
@torch.no_grad()
def declared_bytes(subject: CachePolicySubject) -> None:
    """A sample's positions reserve the bytes that the config says."""
    for attention, decoder in reference_decoders().items():
        cache, kept = subject.cache(), decoder.config.cached_vectors()
        logits_of(decoder, cache, normal(25, 1, LENGTH, DIM), [5, 3])
        declared = subject.config.cache_bytes(kept, itemsize=4, positions=LENGTH)
        if cache.nbytes != declared:
            raise Broken(
                f"{LENGTH} positions take {cache.nbytes} bytes, cache_bytes says {declared} ({attention})",
                likely="the policy keeps numbers of another size, or more positions, than the config declares",
                remedy="override reserved() and token_bytes() of the config, or nbytes of the layer",
            )


@law()
@torch.no_grad()
def global_state(subject: CachePolicySubject) -> None:
    """A policy changes nothing of the process."""
    decoder = next(iter(reference_decoders().values()))
    logits_of(decoder, subject.cache(), normal(22, 1, LENGTH, DIM), [5, 3])
    before = read()
    logits_of(decoder, subject.cache(), normal(22, 1, LENGTH, DIM), [5, 3])
    changed = changes(before, read())
    if changed:
        raise Broken(f"it changed {', '.join(changed)}", remedy="leave settings and seeds to the caller")


CACHE_POLICY_LAWS = (logits, layers, gradients, independence, declared_bytes, global_state)
