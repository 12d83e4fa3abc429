"""What can be known about a model without its weights: parameters, image tokens, operations, memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import TypeAdapter

from vlkit.cache.base import CachePolicyConfig, cache_policies
from vlkit.cropping import CropFewImages
from vlkit.description.costs import Context, Flops, Picture
from vlkit.description.memory import Memory
from vlkit.description.parameters import Parameters, count_parameters
from vlkit.description.report import report
from vlkit.errors import ConfigError, InputError
from vlkit.layouts.indexed import Layout1DConfig
from vlkit.notation import Grid, Size
from vlkit.vlm_config import VLMConfig


@dataclass(frozen=True)
class Description:
    """A model and what a prompt costs it; printed, it is a table.

    Args:
        parts: tags of encoder, projector, layout and decoder.
        dtype: type of weights, activations and cache.
        tile_size: width and height of a tile in pixels.
        grid: rows and columns of tokens that a tile becomes.
        crop: whether the pictures are cut into tiles.
        parameters: their number, part by part.
        pictures: what becomes of each picture.
        context: length of prompt and answer.
        flops: floating-point operations.
        memory: bytes.
        warnings: what the reader should know before running it.
    """

    parts: tuple[str, str, str, str]
    dtype: str
    tile_size: Size
    grid: Grid
    crop: bool
    parameters: Parameters
    pictures: tuple[Picture, ...]
    context: Context
    flops: Flops
    memory: Memory
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        return report(self)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values; sizes are [width, height], grids [rows, columns], what is unknown is None."""
        return TypeAdapter(type(self)).dump_python(self, mode="json")


def describe(
    config: VLMConfig,
    *,
    image_sizes: Sequence[tuple[int, int]] = (),
    prompt_tokens: int = 0,
    new_tokens: int = 64,
    dtype: torch.dtype = torch.bfloat16,
    cache: str | CachePolicyConfig = "resident",
    crop: bool | None = None,
) -> Description:
    """What can be known about a model without weights; nothing large is allocated.

    Args:
        config: the whole model.
        image_sizes: width and height of each picture of the prompt.
        prompt_tokens: tokens of the prompt's text.
        new_tokens: tokens of the answer.
        dtype: type of weights, activations and cache.
        cache: policy of the KV cache.
        crop: whether pictures are cut into tiles; None: as the config's cropping says.

    Raises:
        InputError: if a picture's size or a number of tokens is not valid.
        ConfigError: if `dtype` is no floating-point type, or a part cannot be built.
        RegistryError: if there is no such cache policy.
    """
    if min(prompt_tokens, new_tokens) < 0:
        raise InputError(f"prompt_tokens {prompt_tokens}, new_tokens {new_tokens}", rule="neither is negative")
    if not dtype.is_floating_point:
        raise ConfigError(f"dtype {dtype}", rule="weights are floating-point numbers", remedy="torch.bfloat16, say")
    pictures = tuple(Picture.plan(config, size, crop=crop, images=len(image_sizes)) for size in image_sizes)
    tiles = sum(picture.views for picture in pictures) - len(pictures)
    tokens = sum(picture.tokens for picture in pictures)
    context = Context.of(config, image_tokens=tokens, prompt_tokens=prompt_tokens, new_tokens=new_tokens)
    parameters = count_parameters(config)
    overviews = len(pictures)
    flops = Flops.count(config, tiles=tiles, overviews=overviews, context=context, parameters=parameters)
    memory = Memory.estimate(
        config,
        tiles=tiles,
        overviews=overviews,
        context=context,
        parameters=parameters,
        itemsize=dtype.itemsize,
        policy=cache,
    )
    policy = config.cropping.policy
    uncut = crop is None and isinstance(policy, CropFewImages) and overviews > policy.most_images
    return Description(
        parts=(config.encoder.type, config.projector.type, config.layout.type, config.decoder.type),
        dtype=str(dtype).removeprefix("torch."),
        tile_size=config.tile_size,
        grid=config.grid,
        crop=not uncut if crop is None else crop,
        parameters=parameters,
        pictures=pictures,
        context=context,
        flops=flops,
        memory=memory,
        warnings=(
            *_warnings(config, pictures, context, uncut_by_default=uncut),
            *_cache_warnings(cache_policies.resolve(cache), context),
        ),
    )


def _warnings(
    config: VLMConfig, pictures: Sequence[Picture], context: Context, *, uncut_by_default: bool
) -> Iterator[str]:
    if context.exceeded:
        yield (
            f"{context.positions:,} positions exceed the decoder's {context.limit:,}: shorten the text or the answer, "
            "use fewer or smaller pictures, or crop=False"
        )
    if uncut_by_default:
        twice = ", twice" if any(picture.views > 1 for picture in pictures) else ""
        yield (
            f"so many pictures ({len(pictures)}) are not cut into tiles, as upstream does: each shows only its global "
            f"view{twice}; crop=True cuts them"
        )
    if thin := [picture for picture in pictures if picture.scale == 0]:
        yield f"{_sizes(thin)}: so thin that nothing is left of it when it is fitted"
    limit = context.limit
    if limit is not None and (large := [picture for picture in pictures if 2 * picture.tokens > limit]):
        tokens = max(picture.tokens for picture in large)
        yield f"{_sizes(large)}: one picture takes {tokens:,} tokens, over half of the decoder's {limit:,} positions"
    if isinstance(config.layout, Layout1DConfig):
        yield "the official code cannot build the layout '1D': only vlkit runs such a model"


def _cache_warnings(policy: CachePolicyConfig, context: Context) -> Iterator[str]:
    most = policy.most_positions
    if most is not None and context.positions > most:
        yield f"{context.positions:,} positions exceed the {most:,} of the cache {policy.type!r}: give it more capacity"


def _sizes(pictures: Sequence[Picture]) -> str:
    sizes = list(dict.fromkeys(str(picture.size) for picture in pictures))
    return ", ".join(sizes[:3]) + (f" and {len(sizes) - 3} more" if len(sizes) > 3 else "")
