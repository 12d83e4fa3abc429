"""Generation: from logits to ids and text, for any model that gives the next logits."""

from vlkit.generation.loop import collect, decode
from vlkit.generation.sampling import (
    Sampler,
    SamplingConfig,
    ban_repeated_ngrams,
    draw,
    keep_top_k,
    keep_top_p,
    penalise_repetition,
)
from vlkit.generation.stream import TextStream

__all__ = [
    "Sampler",
    "SamplingConfig",
    "TextStream",
    "ban_repeated_ngrams",
    "collect",
    "decode",
    "draw",
    "keep_top_k",
    "keep_top_p",
    "penalise_repetition",
]
