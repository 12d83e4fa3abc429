"""Running a model: chunked prefill, then one token after the other, as ids or as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from vlkit.cache.base import CachePolicyConfig, KVCache
from vlkit.compiled_step import CompiledStep
from vlkit.errors import ContextLengthError, InputError, ShapeError
from vlkit.generation import SamplingConfig, TextStream, decode
from vlkit.text_inputs import require_prompt

if TYPE_CHECKING:
    from vlkit.vlm import VLM, VLMOutput

CacheSpec = str | Mapping[str, Any] | CachePolicyConfig | KVCache
"""A cache policy's tag, mapping or config, or a cache to go on with."""


class Detokenizer(Protocol):
    """What streaming needs of a tokenizer."""

    def decode(self, ids: list[int]) -> str:
        """Text of `ids`, without special tokens."""
        ...


@torch.no_grad()
def prefill(
    model: VLM,
    *,
    cache: CacheSpec,
    chunk_size: int | None = None,
    input_ids: Tensor | None = None,
    inputs_embeds: Tensor | None = None,
    attention_mask: Tensor | None = None,
    images: Tensor | None = None,
    images_seq_mask: Tensor | None = None,
    images_spatial_crop: Tensor | None = None,
    global_views: Tensor | None = None,
    labels: Tensor | None = None,
) -> VLMOutput:
    """Run the prompt through the model and keep it in a cache; logits only for the last position.

    Args:
        model: the model.
        cache: a policy to start a cache with, or a cache that holds the beginning of this prompt already.
        chunk_size: new positions per pass; None: all at once.
        input_ids: int64[B, T], and the images as in `VLM.prepare_inputs_embeds`.
        inputs_embeds: float[B, T, D] in place of ids and images.
        attention_mask: bool[B, T], False on padding, which stands on the left.
        images: pixels of all views, see `VLM.prepare_inputs_embeds`.
        images_seq_mask: bool[B, T].
        images_spatial_crop: int64[B, m, 2].
        global_views: pixels of global views that have a size of their own.
        labels: accepted, since processors give them, and not used.

    Returns:
        `logits` float32[B, 1, vocabulary], the filled `cache`, and `inputs_embeds` of what was not cached before.

    Raises:
        InputError, ShapeError: if the prompt is empty, padded on the right, or does not fit the model, or `chunk_size`
            is no number from 1.
        ContextLengthError: if the prompt is longer than the decoder's positions.
    """
    if chunk_size is not None:
        _require_whole("chunk_size", chunk_size, least=1)
    positions = model.require_text(input_ids, inputs_embeds)
    require_prompt(positions, attention_mask)
    total = positions[1]
    model.decoder.require_context(total)
    kv_cache = model.open_cache(cache)
    _require_rows(kv_cache, positions[0])
    kv_cache.require_room(total)
    if kv_cache.length >= total:
        kv_cache.crop(total - 1)
    past = kv_cache.length
    if inputs_embeds is not None:
        x_BTD = inputs_embeds[:, past:]
    else:
        assert input_ids is not None
        if past and (images_seq_mask is None or not bool(images_seq_mask[:, past:].any())):
            x_BTD = model.decoder.embed(input_ids[:, past:])
        else:
            x_BTD = model.prepare_inputs_embeds(
                input_ids, images, images_seq_mask, images_spatial_crop, global_views=global_views
            )[:, past:]
    mask = None if attention_mask is None or bool(attention_mask.all()) else attention_mask.bool()
    size = chunk_size or total
    for start in range(0, x_BTD.shape[1], size):
        chunk_BTD = x_BTD[:, start : start + size]
        stop = past + start + chunk_BTD.shape[1]
        out = model(
            inputs_embeds=chunk_BTD,
            attention_mask=None if mask is None else mask[:, :stop],
            cache=kv_cache,
            logits_to_keep=int(stop == total),
        )
    out.inputs_embeds = x_BTD
    return out


def generate_ids(
    model: VLM,
    *,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    no_repeat_ngram_size: int | None = None,
    seed: int | None = None,
    cache: CacheSpec = "resident",
    chunk_size: int | None = None,
    eos_token_id: int | Sequence[int] | None = None,
    pad_token_id: int | None = None,
    stop: str | Sequence[str] = (),
    tokenizer: Detokenizer | None = None,
    compile: bool = False,
    **inputs: Tensor | None,
) -> Iterator[Tensor]:
    """New token ids of every sample, step by step.

    Args:
        model: the model.
        max_new_tokens: most tokens.
        temperature: 0 for the most likely token, else the divisor of the logits before sampling.
        top_k: sample among the k most likely tokens.
        top_p: sample among the fewest tokens whose probability reaches p.
        repetition_penalty: divides the logits of tokens that occurred (arXiv:1909.05858); 1 for none.
        no_repeat_ngram_size: never say the same n tokens twice.
        seed: makes sampling repeatable; row `b` of a batch draws as a single sample with `seed + b`.
        cache: policy of the KV cache, or a cache that holds the beginning of the prompt already.
        chunk_size: positions per pass of the prefill; None: all at once.
        eos_token_id: token or tokens that end a row; None: the config's, (): never stop.
        pad_token_id: what a finished row goes on with; None: the config's.
        stop: strings that end a row once its text holds them; they need the tokenizer.
        tokenizer: gives the text of ids, only for `stop`.
        compile: whether `torch.compile` makes the steps after the prompt, with CUDA graphs on a GPU; the cache is
            "static" then. The first step takes as long as compiling does.
        inputs: the prompt as in `prefill`.

    Yields:
        int64[B], until every row has ended.

    Raises:
        ConfigError: if a sampling setting is out of range.
        InputError, ShapeError: if the inputs do not fit each other or the model.
        ContextLengthError: if prompt and answer together are longer than the decoder's positions.
    """
    sampling = SamplingConfig(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        no_repeat_ngram_size=no_repeat_ngram_size,
        seed=seed,
    )
    _require_whole("max_new_tokens", max_new_tokens, least=0)
    eos, pad = _end_ids(model, eos_token_id, pad_token_id)
    if stop and tokenizer is None:
        raise InputError("stop strings without a tokenizer", rule="they are looked for in the text of the new tokens")
    prompt = inputs.get("input_ids")
    _, length = model.require_text(prompt, inputs.get("inputs_embeds"))
    _require_room(model, length, max_new_tokens)

    def step(ids_B: Tensor) -> Tensor:
        embeds_BTD = model.decoder.embed(ids_B[:, None])
        logits_BTV = model(inputs_embeds=embeds_BTD, cache=out.cache, logits_to_keep=1).logits
        return logits_BTV[:, -1]

    with torch.no_grad():
        out = prefill(model, cache=cache, chunk_size=chunk_size, **inputs)
        assert out.logits is not None and out.cache is not None
        steps = decode(
            out.logits[:, -1],
            CompiledStep(model, out.cache) if compile else step,
            sampling=sampling,
            max_new_tokens=max_new_tokens,
            eos_token_ids=eos,
            pad_token_id=pad,
            history_ids_BT=prompt,
            history_mask_BT=None if prompt is None else _said(prompt, inputs),
            stop=_stopper(tokenizer, stop) if tokenizer is not None and stop else None,
        )
    return _without_gradients(steps)


def generate_text(
    model: VLM,
    tokenizer: Detokenizer,
    *,
    stop: str | Sequence[str] = (),
    **settings: Any,
) -> Iterator[str]:
    """Text of one sample, piece by piece, as soon as no later token can change it.

    Args:
        model: the model.
        tokenizer: gives the text of ids.
        stop: strings that end the text and do not belong to it.
        settings: as in `generate_ids`, for a batch of one.

    Raises:
        InputError: if there is more than one sample.
    """
    ends, _ = _end_ids(model, settings.get("eos_token_id"), settings.get("pad_token_id"))
    stream = TextStream(tokenizer.decode, stop)
    for ids_B in generate_ids(model, **settings):
        if len(ids_B) != 1:
            raise InputError(f"{len(ids_B)} samples", rule="text is streamed for one sample", remedy="use generate")
        token = int(ids_B)
        if token in ends:
            break
        yield stream.push([token])
        if stream.finished:
            return
    yield stream.flush()


def _without_gradients(steps: Iterator[Tensor]) -> Iterator[Tensor]:
    while True:
        with torch.no_grad():
            ids_B = next(steps, None)
        if ids_B is None:
            return
        yield ids_B


def _stopper(tokenizer: Detokenizer, stop: str | Sequence[str]) -> Callable[[Tensor], Tensor]:
    """Function of each step's ids that says which rows' texts hold a stop string."""
    streams: list[TextStream] = []

    def finished(ids_B: Tensor) -> Tensor:
        if not streams:
            streams.extend(TextStream(tokenizer.decode, stop) for _ in ids_B)
        for stream, token in zip(streams, ids_B.tolist(), strict=True):
            stream.push([token])
        return torch.tensor([stream.finished for stream in streams], device=ids_B.device)

    return finished


def _end_ids(model: VLM, eos: int | Sequence[int] | None, pad: int | None) -> tuple[tuple[int, ...], int]:
    """Tokens that end a row, and the one that fills it up; a config's token outside the vocabulary never occurs."""
    decoder = model.config.decoder
    if eos is None:
        ends = tuple(token for token in decoder.stop_ids if token < decoder.vocabulary)
    else:
        ends = (eos,) if isinstance(eos, int | str) or not isinstance(eos, Iterable) else tuple(eos)
    if pad is None:
        padding = decoder.padding_id
        pad = next(iter(ends), 0) if padding is None or padding >= decoder.vocabulary else padding
    for name, token in [("pad_token_id", pad), *(("eos_token_id", token) for token in ends)]:
        _require_whole(name, token, least=0, below=decoder.vocabulary)
    return ends, pad


def _require_rows(cache: KVCache, samples: int) -> None:
    rows = cache.samples if cache.length else samples
    if rows != samples:
        raise ShapeError(
            f"a cache of {rows} samples for a prompt of {samples}",
            rule="every sample goes on with its own beginning",
            remedy="cache.reorder(rows) chooses samples; cache.fork(copies) lets many go on from each",
        )


def _require_room(model: VLM, length: int, max_new_tokens: int) -> None:
    model.decoder.require_context(length)
    limit = model.config.decoder.max_positions
    if limit is not None and length + max_new_tokens - 1 > limit:
        raise ContextLengthError(
            f"a prompt of {length} positions and max_new_tokens {max_new_tokens}",
            rule=f"together, without the last token, they are at most {limit} (max_position_embeddings)",
            remedy=f"set max_new_tokens to {limit - length + 1} or less, or shorten the prompt",
        )


def _require_whole(name: str, value: Any, *, least: int, below: int | None = None) -> None:
    if type(value) is not int or value < least or (below is not None and value >= below):
        limits = f"{least} or more" if below is None else f"{least} to {below - 1}"
        raise InputError(f"{name} is {value!r}", rule=f"it is a whole number, {limits}")


def _said(prompt: Tensor, inputs: Mapping[str, Tensor | None]) -> Tensor:
    mask = torch.ones_like(prompt, dtype=torch.bool)
    attention_mask, images_seq_mask = inputs.get("attention_mask"), inputs.get("images_seq_mask")
    if attention_mask is not None:
        mask &= attention_mask.bool()
    if images_seq_mask is not None:
        mask &= ~images_seq_mask.bool()
    return mask
