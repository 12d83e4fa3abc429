"""Decoding as compiled steps on a CPU, behind a prompt of 1,024 positions, beside the same of transformers.

The two cases are those of `decoders`. A compiled step is made once per process, which takes from half a minute to two
minutes on two cores, and is not in the times. Where products in bfloat16 are slow, peers are measured in float32 as
well: one token may be faster in the one or in the other.
"""

from __future__ import annotations

from functools import partial

import torch

from benchmarks.decoders import DTYPE, facts, released, toys, work
from benchmarks.frame import Case, Measured, Options, Side, main
from benchmarks.peers import TransformersDecoder, slow_in_half
from benchmarks.steps import Decoding, build, decode, their_decode
from vlkit.decoders import DeepseekV2Config

WAYS = ("compiled", "eager")
ABOUT = {
    "latent": "four layers of deepseek-vl2-small, one token behind {} positions",
    "multi-head": "the language model of deepseek-vl2-tiny, one token behind {} positions",
}


def cases(options: Options) -> list[Case]:
    """Both decoders, or the same at toy size."""
    configs = toys() if options.dry else released()
    prefill, capacity, backend = (12, 256, "eager") if options.dry else (1024, 1280, "inductor")
    steps, warmup = (2, 1) if options.dry else (32, 8)
    return [
        case(name, Decoding(config, prefill, capacity, steps, warmup, backend), options)
        for name, config in zip(ABOUT, configs, strict=True)
    ]


def case(name: str, size: Decoding, options: Options) -> Case:
    """One decoder, both ways."""
    dtypes = {"": DTYPE} | ({", float32": torch.float32} if slow_in_half(options.device) else {})
    own: dict[str, Side] = {f"vlkit, {way}": partial(ours, size, compiled=way == "compiled") for way in WAYS}
    peers: dict[str, Side] = {
        f"transformers, {way}{note}": partial(theirs, size, dtype, compiled=way == "compiled")
        for note, dtype in dtypes.items()
        for way in WAYS
    }
    context = f"decode at {size.prefill}"
    return Case(
        name,
        ABOUT[name].format(size.prefill),
        own | peers,
        peers=tuple(peers),
        work={"decode": work(size.config, prefill=size.prefill, contexts=(size.prefill,))[context]},
        facts=facts(size.config, size.prefill),
    )


def ours(size: Decoding, options: Options, *, compiled: bool) -> Measured:
    """Our model."""
    return Measured(decode(build(size, options), size, options, compiled=compiled))


def theirs(size: Decoding, dtype: torch.dtype, options: Options, *, compiled: bool) -> Measured:
    """Transformers' model, with its experts in one grouped product."""
    decoder = size.config.decoder
    assert isinstance(decoder, DeepseekV2Config)
    model = TransformersDecoder(decoder, experts="grouped_mm", dtype=dtype, device=options.device)
    return Measured(their_decode(model, size, options, compiled=compiled))


if __name__ == "__main__":
    main("compiled", cases, __doc__)
