"""deepseek-vl2-small as a whole (16 B parameters, bfloat16) on one GPU.

Three cases:

- `decoder`: prefill of 2,048 positions and decoding behind them, eagerly and as a compiled step with CUDA graphs and a
  static cache, beside the same two ways in transformers;
- `experts`: one layer's experts on 1 and on 4,096 tokens: all in one grouped matrix product, one product per active
  expert, one per expert;
- `long context`: 32,768 positions in chunks of 2,048 with the cache on the device, and offloaded to the host.

`--dry-run` goes the same way at toy size on any device, so that the script is known to run where there is no GPU; its
numbers mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

import vlkit
from benchmarks.decoders import facts, work
from benchmarks.frame import Case, Measured, Options, main
from benchmarks.peers import TransformersDecoder
from vlkit.bench import Clock, repeated_random
from vlkit.builder import fresh_weights
from vlkit.compiled_step import CompiledStep
from vlkit.decoders import DeepseekV2Config
from vlkit.models.deepseek_vl2.presets import MINI, SMALL
from vlkit.nn.moe import Compute, Experts
from vlkit.nn.router import Routing
from vlkit.vlm import VLM
from vlkit.vlm_config import VLMConfig

DTYPE = torch.bfloat16


class Sizes(NamedTuple):
    """What is run.

    Args:
        config: the model.
        prefill: positions of a prompt.
        capacity: positions of a static cache.
        long: positions of a long prompt.
        chunk: its positions per pass.
        tokens: tokens that the experts are given.
        steps: decoded tokens that count.
        warmup: decoded tokens before them; compiling is among them.
        backend: of `torch.compile`.
    """

    config: VLMConfig
    prefill: int
    capacity: int
    long: int
    chunk: int
    tokens: tuple[int, int]
    steps: int
    warmup: int
    backend: str


def sizes(options: Options) -> Sizes:
    """The released model's, or toy ones with all kinds of parts."""
    if options.dry:
        decoder = MINI.decoder
        assert isinstance(decoder, DeepseekV2Config) and decoder.moe is not None
        moe = decoder.moe.replace(scoring_func="softmax", topk_method="greedy", norm_topk_prob=False)
        config = MINI.replace(decoder=decoder.replace(moe=moe))
        return Sizes(config, 12, 256, 40, 16, (1, 24), 2, 1, "eager")
    config = SMALL.replace(decoder=SMALL.decoder.replace(max_position_embeddings=40960))
    return Sizes(config, 2048, 4096, 32768, 2048, (1, 4096), 64, 16, "inductor")


def cases(options: Options) -> list[Case]:
    """All three."""
    size = sizes(options)
    way: list[Compute] = ["auto", "fused", "grouped", "loop"]
    least = work(size.config, prefill=size.prefill, contexts=(size.prefill,))
    return [
        Case(
            "decoder",
            f"the language model of deepseek-vl2-small, {size.prefill} positions",
            {
                "vlkit, compiled": partial(decode, size, compiled=True),
                "vlkit, eager": partial(decode, size, compiled=False),
                "transformers, compiled": partial(their_decode, size, compiled=True),
                "transformers, eager": partial(their_decode, size, compiled=False),
            },
            peers=("transformers, compiled", "transformers, eager"),
            work={"prefill": least["prefill"], "decode": least[f"decode at {size.prefill}"]},
            facts=facts(size.config, size.prefill),
        ),
        Case("experts", "the experts of one layer", {f"vlkit, {each}": partial(experts, size, each) for each in way}),
        Case(
            "long context",
            f"{size.long} positions in chunks of {size.chunk}",
            {f"vlkit, {policy}": partial(long_context, size, policy) for policy in ("resident", "offload")},
        ),
    ]


def build(size: Sizes, options: Options) -> VLM:
    """The model with random weights."""
    with repeated_random():
        return vlkit.build(size.config, dtype=DTYPE, device=options.device).eval()


def ids(size: Sizes, options: Options, count: int) -> Tensor:
    """Random ids int64[1, T]."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(size.config.decoder.vocabulary, (1, count), generator=generator).to(options.device)


def decode(size: Sizes, options: Options, *, compiled: bool) -> Measured:
    """Prefill, then token after token, of our model."""
    model, prompt = build(size, options), ids(size, options, size.prefill)

    def prefill(policy: Any) -> Any:
        return model.incremental_prefilling(input_ids=prompt, chunk_size=size.prefill, cache=policy)

    measured = Measured({"prefill": options.steady(lambda: prefill("resident"))})
    out = prefill({"type": "static", "capacity": size.capacity} if compiled else "resident")
    step: Callable[[Tensor], Tensor] = partial(one_token, model, out.cache)
    if compiled:
        step = CompiledStep(model, out.cache, backend=size.backend)
    measured.seconds["decode"] = decode_steps(step, prompt[:, -1], size, options.clock)
    return measured


@torch.no_grad()
def one_token(model: VLM, cache: Any, ids_B: Tensor) -> Tensor:
    """Logits float[B, vocabulary] behind one new id per sample."""
    logits_BTV = model(input_ids=ids_B[:, None], cache=cache, logits_to_keep=1).logits
    assert logits_BTV is not None
    return logits_BTV[:, -1]


def decode_steps(step: Callable[[Tensor], Tensor], ids_B: Tensor, size: Sizes, clock: Clock) -> list[float]:
    """Seconds per token of two stretches of greedy steps, each waited for once, at its end, as generation does."""
    seconds = []
    for count in (size.warmup, size.steps // 2, size.steps - size.steps // 2):
        start = clock.now()
        for _ in range(count):
            ids_B = step(ids_B).argmax(-1)
        seconds.append((clock.now() - start) / count)
    return seconds[1:]


def their_decode(size: Sizes, options: Options, *, compiled: bool) -> Measured:
    """Prefill, then token after token, of transformers' model."""
    decoder = size.config.decoder
    assert isinstance(decoder, DeepseekV2Config)
    model = TransformersDecoder(decoder, experts="grouped_mm", dtype=DTYPE, device=options.device)
    prompt = ids(size, options, size.prefill)
    measured = Measured({"prefill": options.steady(lambda: model.run(prompt))})
    cache = model.run(prompt, model.static_cache(size.capacity) if compiled else None)[1]
    if compiled:
        model.compile(size.backend)

    def step(ids_B: Tensor) -> Tensor:
        return model.run(ids_B[:, None], cache)[0][:, -1].clone()

    measured.seconds["decode"] = decode_steps(step, prompt[:, -1], size, options.clock)
    return measured


def experts(size: Sizes, way: Compute, options: Options) -> Measured:
    """Experts of one layer, on tokens that choose theirs at random."""
    decoder = size.config.decoder
    assert isinstance(decoder, DeepseekV2Config) and decoder.moe is not None
    moe, dim, measured = decoder.moe, decoder.dim, Measured()
    with repeated_random(), fresh_weights(DTYPE, options.device):
        layer = Experts(moe.n_routed_experts, dim, moe.moe_intermediate_size, compute=way)
    generator = torch.Generator().manual_seed(0)
    for tokens in size.tokens:
        scores_ME = torch.rand(tokens, moe.n_routed_experts, generator=generator).to(options.device)
        weights_MA, ids_MA = scores_ME.topk(moe.num_experts_per_tok, dim=-1)
        routing = Routing(ids_MA, weights_MA, scores_ME)
        x_MD = torch.randn(tokens, dim, generator=generator).to(options.device, DTYPE)
        with torch.no_grad():
            measured.seconds[f"{tokens} tokens"] = options.steady(partial(layer, x_MD, routing))
    return measured


def long_context(size: Sizes, policy: str, options: Options) -> Measured:
    """A long prompt in chunks, then a few tokens; the frame adds the device's peak memory."""
    model, prompt, clock = build(size, options), ids(size, options, size.long), options.clock

    def prefill() -> Any:
        return model.incremental_prefilling(input_ids=prompt, chunk_size=size.chunk, cache=policy)

    model.incremental_prefilling(input_ids=prompt[:, : 2 * size.chunk], chunk_size=size.chunk, cache=policy)
    out, seconds = clock.time(prefill)
    short = size._replace(steps=max(size.steps // 4, 2), warmup=min(size.warmup, 4))
    steps = decode_steps(partial(one_token, model, out.cache), prompt[:, -1], short, clock)
    return Measured({"prefill": [seconds], "decode": steps}, {"cache_bytes": out.cache.nbytes})


if __name__ == "__main__":
    main("gpu", cases, __doc__)
