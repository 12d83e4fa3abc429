"""Single tokens behind a prompt, eagerly or as compiled steps over a static cache: our models and transformers'."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

import vlkit
from benchmarks.frame import Options
from benchmarks.peers import TransformersDecoder
from vlkit.bench import Clock, repeated_random
from vlkit.compiled_step import CompiledStep
from vlkit.vlm import VLM
from vlkit.vlm_config import VLMConfig

DTYPE = torch.bfloat16


class Decoding(NamedTuple):
    """A model and what it decodes.

    Args:
        config: the model.
        prefill: positions of the prompt.
        capacity: positions of a static cache.
        steps: decoded tokens that count.
        warmup: decoded tokens before them; compiling is among them.
        backend: of `torch.compile`.
    """

    config: VLMConfig
    prefill: int
    capacity: int
    steps: int
    warmup: int
    backend: str


def build(size: Decoding, options: Options) -> VLM:
    """The model with random weights."""
    with repeated_random():
        return vlkit.build(size.config, dtype=DTYPE, device=options.device).eval()


def ids(size: Decoding, options: Options, count: int | None = None) -> Tensor:
    """Random ids int64[1, T], as many as the prompt has or other ones."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, count or size.prefill)
    return torch.randint(size.config.decoder.vocabulary, shape, generator=generator).to(options.device)


def prefilled(model: VLM, prompt: Tensor, policy: Any) -> Any:
    """Cache of the prompt, which runs in one piece."""
    return model.incremental_prefilling(input_ids=prompt, chunk_size=prompt.shape[1], cache=policy).cache


def decode(model: VLM, size: Decoding, options: Options, *, compiled: bool) -> dict[str, list[float]]:
    """Seconds per token of our model behind its prompt."""
    prompt = ids(size, options)
    cache = prefilled(model, prompt, {"type": "static", "capacity": size.capacity} if compiled else "resident")
    step: Callable[[Tensor], Tensor] = partial(one_token, model, cache)
    if compiled:
        step = CompiledStep(model, cache, backend=size.backend)
    return {"decode": decode_steps(step, prompt[:, -1], size, options.clock)}


@torch.no_grad()
def one_token(model: VLM, cache: Any, ids_B: Tensor) -> Tensor:
    """Logits float[B, vocabulary] behind one new id per sample."""
    logits_BTV = model(input_ids=ids_B[:, None], cache=cache, logits_to_keep=1).logits
    assert logits_BTV is not None
    return logits_BTV[:, -1]


def their_decode(
    model: TransformersDecoder, size: Decoding, options: Options, *, compiled: bool
) -> dict[str, list[float]]:
    """Seconds per token of transformers' model behind its prompt."""
    prompt = ids(size, options)
    cache = model.run(prompt, model.static_cache(size.capacity) if compiled else None)[1]
    if compiled:
        model.compile(size.backend)

    def step(ids_B: Tensor) -> Tensor:
        return model.run(ids_B[:, None], cache)[0][:, -1].clone()

    return {"decode": decode_steps(step, prompt[:, -1], size, options.clock)}


def decode_steps(step: Callable[[Tensor], Tensor], ids_B: Tensor, size: Decoding, clock: Clock) -> list[float]:
    """Seconds per token of two stretches of greedy steps, each waited for once, at its end, as generation does."""
    seconds = []
    for count in (size.warmup, size.steps // 2, size.steps - size.steps // 2):
        start = clock.now()
        for _ in range(count):
            ids_B = step(ids_B).argmax(-1)
        seconds.append((clock.now() - start) / count)
    return seconds[1:]
