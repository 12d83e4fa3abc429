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

from functools import partial
from typing import Any, NamedTuple

import torch

from benchmarks.decoders import facts, toys, work
from benchmarks.frame import Case, Measured, Options, main
from benchmarks.peers import TransformersDecoder
from benchmarks.steps import DTYPE, Decoding, build, decode, decode_steps, ids, one_token, prefilled, their_decode
from vlkit.bench import repeated_random
from vlkit.builder import fresh_weights
from vlkit.decoders import DeepseekV2Config
from vlkit.models.deepseek_vl2.presets import SMALL
from vlkit.nn.moe import Compute, Experts
from vlkit.nn.router import Routing


class Sizes(NamedTuple):
    """What is run.

    Args:
        decoding: the model and its single tokens.
        long: positions of a long prompt.
        chunk: its positions per pass.
        tokens: tokens that the experts are given.
    """

    decoding: Decoding
    long: int
    chunk: int
    tokens: tuple[int, int]


def sizes(options: Options) -> Sizes:
    """The released model's, or toy ones with all kinds of parts."""
    if options.dry:
        return Sizes(Decoding(toys()[0], 12, 256, 2, 1, "eager"), 40, 16, (1, 24))
    config = SMALL.replace(decoder=SMALL.decoder.replace(max_position_embeddings=40960))
    return Sizes(Decoding(config, 2048, 4096, 64, 16, "inductor"), 32768, 2048, (1, 4096))


def cases(options: Options) -> list[Case]:
    """All three."""
    size = sizes(options)
    config, prefill = size.decoding.config, size.decoding.prefill
    way: list[Compute] = ["auto", "fused", "grouped", "loop"]
    least = work(config, prefill=prefill, contexts=(prefill,))
    return [
        Case(
            "decoder",
            f"the language model of deepseek-vl2-small, {prefill} positions",
            {
                "vlkit, compiled": partial(ours, size, compiled=True),
                "vlkit, eager": partial(ours, size, compiled=False),
                "transformers, compiled": partial(theirs, size, compiled=True),
                "transformers, eager": partial(theirs, size, compiled=False),
            },
            peers=("transformers, compiled", "transformers, eager"),
            work={"prefill": least["prefill"], "decode": least[f"decode at {prefill}"]},
            facts=facts(config, prefill),
        ),
        Case("experts", "the experts of one layer", {f"vlkit, {each}": partial(experts, size, each) for each in way}),
        Case(
            "long context",
            f"{size.long} positions in chunks of {size.chunk}",
            {f"vlkit, {policy}": partial(long_context, size, policy) for policy in ("resident", "offload")},
        ),
    ]


def ours(size: Sizes, options: Options, *, compiled: bool) -> Measured:
    """Prefill, then token after token, of our model."""
    model, prompt = build(size.decoding, options), ids(size.decoding, options)
    prefill = partial(prefilled, model, prompt, "resident")
    return Measured({"prefill": options.steady(prefill)} | decode(model, size.decoding, options, compiled=compiled))


def theirs(size: Sizes, options: Options, *, compiled: bool) -> Measured:
    """Prefill, then token after token, of transformers' model."""
    decoder = size.decoding.config.decoder
    assert isinstance(decoder, DeepseekV2Config)
    model = TransformersDecoder(decoder, experts="grouped_mm", dtype=DTYPE, device=options.device)
    prompt = ids(size.decoding, options)
    prefill = options.steady(lambda: model.run(prompt))
    return Measured({"prefill": prefill} | their_decode(model, size.decoding, options, compiled=compiled))


def experts(size: Sizes, way: Compute, options: Options) -> Measured:
    """Experts of one layer, on tokens that choose theirs at random."""
    decoder = size.decoding.config.decoder
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
    model, prompt, clock = build(size.decoding, options), ids(size.decoding, options, size.long), options.clock

    def prefill() -> Any:
        return model.incremental_prefilling(input_ids=prompt, chunk_size=size.chunk, cache=policy)

    model.incremental_prefilling(input_ids=prompt[:, : 2 * size.chunk], chunk_size=size.chunk, cache=policy)
    out, seconds = clock.time(prefill)
    few = size.decoding
    few = few._replace(steps=max(few.steps // 4, 2), warmup=min(few.warmup, 4))
    steps = decode_steps(partial(one_token, model, out.cache), prompt[:, -1], few, clock)
    return Measured({"prefill": [seconds], "decode": steps}, {"cache_bytes": out.cache.nbytes})


if __name__ == "__main__":
    main("gpu", cases, __doc__)
