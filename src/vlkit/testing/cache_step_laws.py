"""Laws of cache policies between passes: a cache is cropped, reordered, forked, or in the middle of an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vlkit.cache.base import KVCache
from vlkit.decoders.deepseek_v2 import DeepseekV2
from vlkit.testing.comparing import normal
from vlkit.testing.law import Broken, law
from vlkit.testing.reference import BATCH, DIM, LAYERS, LENGTH, left_padded, logits_of

if TYPE_CHECKING:
    from vlkit.testing.cache_policy import CachePolicySubject


@law(crash="what was cropped comes back, or a length is not that of the tensors")
@torch.no_grad()
def crop(subject: CachePolicySubject) -> None:
    """After `crop` a cache goes on as if the rest had never been."""
    x, other = normal(13, BATCH, LENGTH, DIM), normal(14, BATCH, 3, DIM)
    for kept in (0, 5, LENGTH + 2):

        def run(decoder: DeepseekV2, cache: KVCache, kept: int = kept) -> Tensor:
            logits_of(decoder, cache, x, [6, 2], left_padded())
            cache.crop(kept)
            if cache.length != min(kept, LENGTH):
                raise Broken(
                    f"after a crop to {kept} of {LENGTH} positions the cache has {cache.length}",
                    likely="new_layer gives a class whose crop does nothing",
                    remedy="let crop shorten what `tensors` gives",
                )
            return logits_of(decoder, cache, other, [2, 1])

        subject.compare(
            run,
            f"after a crop to {kept} of {LENGTH} positions the cache goes on with others",
            likely="positions after the crop stay, or come back when the layer is moved",
        )


@law()
@torch.no_grad()
def reorder(subject: CachePolicySubject) -> None:
    """After `reorder` every row goes on with the sample that was chosen for it, repeats included."""
    x, other = normal(15, BATCH, LENGTH, DIM), normal(16, 4, 3, DIM)
    for rows in ([2, 0, 1], [1], [0, 0, 2, 1]):

        def run(decoder: DeepseekV2, cache: KVCache, rows: list[int] = rows) -> Tensor:
            logits_of(decoder, cache, x, [6, 2], left_padded())
            cache.reorder(torch.tensor(rows))
            return logits_of(decoder, cache, other[: len(rows)], [2, 1])

        subject.compare(
            run,
            f"after a reordering to {rows} the samples go on with others' positions",
            likely="what is kept elsewhere is not reordered with the rest",
        )


@law(crash="new_layer gives a class whose fork hands out what both then write to")
@torch.no_grad()
def fork(subject: CachePolicySubject) -> None:
    """A fork goes on from the same positions, once or several times, and neither changes the other."""
    x, other = normal(23, BATCH, LENGTH, DIM), normal(24, 2 * BATCH, 3, DIM)
    for copies in (1, 2):

        def run(decoder: DeepseekV2, cache: KVCache, copies: int = copies) -> Tensor:
            logits_of(decoder, cache, x[:, :5], [5], left_padded())
            twin = cache.fork(copies)
            outs = [logits_of(decoder, twin, other[: copies * BATCH], [2, 1])]
            outs.append(logits_of(decoder, cache, x[:, 5:], [1, 2], left_padded()))
            twin.crop(6)
            outs.append(logits_of(decoder, twin, other[: copies * BATCH, :1], [1]))
            return torch.cat([out.flatten(0, 1) for out in outs])

        subject.compare(
            run,
            f"a cache and its fork of {copies} copies go on with others' positions",
            likely="new_layer gives a class whose fork hands out what both then write to",
            remedy="share what nobody writes to any more, or copy",
        )


@law()
@torch.no_grad()
def after_an_error(subject: CachePolicySubject) -> None:
    """After an error inside a layer, and a crop to where it was, a cache goes on as if nothing had happened."""
    x = normal(17, BATCH, LENGTH, DIM)

    def run(decoder: DeepseekV2, cache: KVCache) -> Tensor:
        logits_of(decoder, cache, x[:, :5], [5], left_padded())
        before = cache.length

        def fail(*_: object) -> None:
            raise InterruptedError

        for position in (1, LAYERS - 1):
            handle = decoder.layers[position].register_forward_pre_hook(fail)
            try:
                logits_of(decoder, cache, x[:, 5:], [3], left_padded())
            except InterruptedError:
                pass
            finally:
                handle.remove()
            cache.crop(before)
        return logits_of(decoder, cache, x[:, 5:], [2, 1], left_padded())

    subject.compare(
        run,
        "after an error inside a layer the cache goes on with other numbers",
        likely="before_layer notes what only after_layer undoes, such as a layer being fetched or locked",
        remedy="let before_layer start from what is there, not from what should be",
    )


CACHE_STEP_LAWS = (crop, reorder, fork, after_an_error)
