"""The stages of a request, run one after the other as in use, each timed: from a JPEG file to the last token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vlkit.bench.requests import Request
from vlkit.bench.timing import Clock
from vlkit.generate import generate_ids
from vlkit.notation import Grid
from vlkit.processing.geometry import ImageGeometry
from vlkit.processing.image import load, pixels
from vlkit.vlm import VLM
from vlkit.vlm_config import VLMConfig

STAGES: Mapping[str, str] = {
    "tiling": "decode the file, fit, cut, normalise",
    "vision": "encoder on all views",
    "projector": "projector on all views",
    "layout": "arrange the image tokens",
    "prefill": "embed the prompt and run it, first token included",
    "decode": "one further token",
}
"""Stages in their order, and what is done in them."""

Progress = Callable[[int, int], None]
"""Is told requests done and requests in all."""


class Views(NamedTuple):
    """Pictures, cut.

    Args:
        batches: float[N, 3, height, width] of views of one size each: all together, or global views, then tiles.
        tile_grids: tile rows and columns of each picture.
    """

    batches: tuple[Tensor, ...]
    tile_grids: tuple[Grid, ...]


def measure_stages(
    model: VLM, request: Request, *, runs: int = 5, warmup: int = 2, progress: Progress | None = None
) -> dict[str, list[float]]:
    """Seconds of each stage in each of `runs` requests after `warmup` others.

    Decoding is given per token. The pictures are made before; ids are drawn with a fixed seed, and no token ends the
    answer.

    Args:
        model: in evaluation mode.
        request: what is asked.
        runs: requests that count.
        warmup: requests before them.
        progress: is told requests done and requests in all.

    Returns:
        Names of `STAGES` to seconds; without pictures only those of the decoder.
    """
    clock, pictures = Clock(model.device), request.pictures()
    found: list[dict[str, float]] = []
    for number in range(warmup + runs):
        found.append(_run(model, request, pictures, clock))
        if progress is not None:
            progress(number + 1, warmup + runs)
    return {stage: [run[stage] for run in found[warmup:]] for stage in found[0]}


@torch.no_grad()
def _run(model: VLM, request: Request, pictures: Sequence[bytes], clock: Clock) -> dict[str, float]:
    seconds: dict[str, float] = {}
    tokens_LD = None
    if pictures:
        views, seconds["tiling"] = clock.time(lambda: cut(model.config, pictures, model.device))
        encoded, seconds["vision"] = clock.time(
            lambda: [model.encoder(batch.to(model.dtype)) if len(batch) else None for batch in views.batches]
        )
        projected, seconds["projector"] = clock.time(
            lambda: [None if x_NYXW is None else model.projector(x_NYXW) for x_NYXW in encoded]
        )
        tokens_LD, seconds["layout"] = clock.time(lambda: _arrange(model, views, projected))
    start = clock.now()
    steps = generate_ids(
        model,
        inputs_embeds=_prompt(model, request.prompt_tokens, tokens_LD),
        max_new_tokens=request.new_tokens,
        cache=request.cache,
        chunk_size=request.chunk_size,
        eos_token_id=(),
    )
    next(steps)
    first = clock.now()
    for _ in steps:
        pass
    return seconds | {"prefill": first - start, "decode": (clock.now() - first) / (request.new_tokens - 1)}


def cut(config: VLMConfig, pictures: Sequence[bytes], device: torch.device) -> Views:
    """Files as views on a device, in float32."""
    encoder, geometry = config.encoder, ImageGeometry(
        config.layout, config.candidate_resolutions, config.grid_of, config.cropping, config.global_view_size
    )  # fmt: skip
    fill = tuple(int(255 * mean) for mean in encoder.pixel_mean)
    images = [load(picture) for picture in pictures]
    tilings = [geometry.plan(image.size, images=len(images)).tiling for image in images]
    cuts = [geometry.cut(image, tiling, fill) for image, tiling in zip(images, tilings)]
    if config.global_view_size is None:
        batches = [[view for overview, tiles in cuts for view in (overview, *tiles)]]
    else:
        batches = [[overview for overview, _ in cuts], [tile for _, tiles in cuts for tile in tiles]]
    none = torch.zeros(0, 3, config.tile_size.height, config.tile_size.width)
    return Views(
        tuple(
            (pixels(batch, encoder.pixel_mean, encoder.pixel_std) if batch else none).to(device) for batch in batches
        ),
        tuple(tiling.grid for tiling in tilings),
    )


def _arrange(model: VLM, views: Views, projected: Sequence[Tensor | None]) -> Tensor:
    config = model.config
    none = torch.zeros(0, *config.grid, config.decoder.dim, dtype=model.dtype, device=model.device)
    *overviews, tiles = [none if x_NYXD is None else x_NYXD for x_NYXD in projected]
    return model.layout(tiles, views.tile_grids, *overviews)


def _prompt(model: VLM, length: int, tokens_LD: Tensor | None) -> Tensor:
    """Embeddings float[1, T, D]: image tokens, then text."""
    generator = torch.Generator().manual_seed(0)
    ids_BT = torch.randint(model.config.decoder.vocabulary, (1, length), generator=generator).to(model.device)
    text_BTD = model.decoder.embed(ids_BT)
    return text_BTD if tokens_LD is None else torch.cat([tokens_LD[None].to(text_BTD.dtype), text_BTD], dim=1)
