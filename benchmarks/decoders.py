"""Decoders beside those of transformers: prefill, and decoding at a short and at a long context.

Two cases, both in bfloat16 with random weights and one sample:

- `latent`: four layers of deepseek-vl2-small, one dense and three with experts, with latent attention, beside
  transformers' `deepseek_v2`, which caches latents as well;
- `multi-head`: the whole language model of deepseek-vl2-tiny, twelve layers, beside the language model of
  transformers' `deepseek_ocr2`, which has the same parts.

On a CPU that multiplies no matrices in half precision, where the peers are many times faster in float32, they are
measured in that as well.

Both sides embed ids, run the layers and compute logits of the last position; nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.frame import Case, Measured, Options, Side, main
from benchmarks.peers import EXPERTS, TransformersDecoder, slow_in_half
from vlkit.bench import Work, repeated_random
from vlkit.builder import fresh_weights
from vlkit.decoders import DeepseekV2Config, MHAConfig, decoders
from vlkit.description import describe
from vlkit.models.deepseek_vl2.presets import MINI, SMALL, TINY
from vlkit.vlm_config import VLMConfig

DTYPE = torch.bfloat16
WARMUP, TOKENS = 8, 16
"""Tokens that are decoded at each context in one process, those that do not count and those that do."""

Pass = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""Gives logits of the last position and the cache, from ids int64[1, T] and a cache or None."""


def cases(options: Options) -> list[Case]:
    """Both cases, or the same at toy size."""
    latent, multi_head = toys() if options.dry else released()
    wider = slow_in_half(options.device)
    prefill, contexts = (16, (16, 80)) if options.dry else (1024, (1024, 8192))
    return [
        comparison(
            "latent",
            "four layers of deepseek-vl2-small: latent attention, one dense layer, three with experts",
            latent,
            prefill=prefill,
            contexts=contexts,
            wider=wider,
        ),
        comparison(
            "multi-head",
            "the language model of deepseek-vl2-tiny: multi-head attention, one dense layer, eleven with experts",
            multi_head,
            prefill=prefill,
            contexts=(contexts[0], contexts[1] // 2),
            wider=wider,
        ),
    ]


def released() -> tuple[VLMConfig, VLMConfig]:
    """Models whose decoders are compared, with room for long contexts."""
    layers = SMALL.decoder.replace(num_hidden_layers=4, max_position_embeddings=16384)
    return SMALL.replace(decoder=layers), TINY.replace(decoder=TINY.decoder.replace(max_position_embeddings=16384))


def toys() -> tuple[VLMConfig, VLMConfig]:
    """The same at toy size."""
    decoder = MINI.decoder
    assert isinstance(decoder, DeepseekV2Config) and decoder.moe is not None
    moe = decoder.moe.replace(scoring_func="softmax", topk_method="greedy", norm_topk_prob=False)
    latent = decoder.replace(moe=moe)
    multi_head = latent.replace(attention=MHAConfig(num_attention_heads=4))
    return MINI.replace(decoder=latent), MINI.replace(decoder=multi_head)


def comparison(
    name: str, about: str, config: VLMConfig, *, prefill: int, contexts: tuple[int, int], wider: bool
) -> Case:
    """One decoder beside its peer, with each way in which that computes experts, and if asked in float32 as well."""
    decoder = config.decoder
    assert isinstance(decoder, DeepseekV2Config)
    measure = partial(measure_decoder, vocabulary=decoder.vocab_size, prefill=prefill, contexts=contexts)
    peer = "deepseek_ocr2" if isinstance(decoder.attention, MHAConfig) else "deepseek_v2"

    def ours(options: Options) -> Measured:
        run = vlkit_pass(decoder, options.device)
        return measure(run, run, options=options)

    def theirs(way: str, dtype: torch.dtype) -> Side:
        def side(options: Options) -> Measured:
            model = TransformersDecoder(decoder, experts=way, dtype=dtype, device=options.device)
            return measure(model.run, model.run_with_loop, options=options)

        return side

    peers = {f"transformers {peer}, {way}": theirs(way, DTYPE) for way in EXPERTS}
    if wider:
        peers |= {f"{name}, float32": theirs(way, torch.float32) for name, way in zip(peers, EXPERTS, strict=True)}
    return Case(
        name,
        about,
        {"vlkit": ours, **peers},
        peers=tuple(peers),
        work=work(config, prefill=prefill, contexts=contexts),
        facts=facts(config, prefill),
    )


def vlkit_pass(config: DeepseekV2Config, device: torch.device) -> Pass:
    """Our decoder."""
    with repeated_random(), fresh_weights(DTYPE, device):
        decoder = decoders.build(config).eval()

    @torch.no_grad()
    def run(ids_BT: Tensor, cache: Any) -> tuple[Tensor, Any]:
        cache = decoder.new_cache() if cache is None else cache
        x_BTD = decoder(decoder.embed(ids_BT), cache=cache).x_BTD
        return decoder.logits(x_BTD[:, -1:]), cache

    return run


def measure_decoder(
    run: Pass, fill: Pass, *, vocabulary: int, prefill: int, contexts: tuple[int, int], options: Options
) -> Measured:
    """Seconds of a prefill, and of single tokens behind each context, which `fill` runs in pieces before."""
    generator = torch.Generator().manual_seed(0)

    def draw(count: int) -> Tensor:
        return torch.randint(vocabulary, (1, count), generator=generator).to(options.device)

    ids_BT = draw(prefill)
    measured = Measured({"prefill": options.steady(lambda: run(ids_BT, None))})
    cache: Any = None
    filled = 0
    for context in contexts:
        while filled < context:
            count = min(prefill, context - filled)
            cache, filled = fill(draw(count), cache)[1], filled + count
        seconds = [options.clock.time(partial(run, draw(1), cache))[1] for _ in range(WARMUP + TOKENS)]
        measured.seconds[f"decode at {context}"] = seconds[WARMUP:]
        filled += WARMUP + TOKENS
    return measured


def work(config: VLMConfig, *, prefill: int, contexts: Sequence[int]) -> Mapping[str, Work]:
    """Least work of each measure."""
    about = describe(config, prompt_tokens=prefill, new_tokens=1, dtype=DTYPE)
    weights = about.parameters["decoder"].active
    found = {"prefill": Work(about.flops.prefill, None if weights is None else DTYPE.itemsize * weights)}
    for context in contexts:
        about = describe(config, prompt_tokens=context, new_tokens=2, dtype=DTYPE)
        found[f"decode at {context}"] = Work(about.flops.decode, about.memory.read_per_token)
    return found


def facts(config: VLMConfig, prefill: int) -> Mapping[str, Any]:
    """What is known without running."""
    about = describe(config, prompt_tokens=prefill, dtype=DTYPE)
    return {
        "parameters": about.parameters["decoder"].total,
        "active_parameters": about.parameters["decoder"].active,
        "cache_bytes_per_token": about.memory.cache_per_token,
        "prefill_flops": about.flops.prefill,
    }


if __name__ == "__main__":
    main("decoders", cases, __doc__)
