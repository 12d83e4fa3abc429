"""Running a model: chunked prefill, then one token after the other, as ids or as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from vlkit.cache.base import CachePolicyConfig, KVCache
from vlkit.errors import InputError
from vlkit.generation import SamplingConfig, TextStream, decode

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
        labels: accepted, since processors give them, and not used.

    Returns:
        `logits` float32[B, 1, vocabulary], the filled `cache`, and `inputs_embeds` of what was not cached before.

    Raises:
        InputError: if the prompt is empty, padded on the right, or `chunk_size` is below 1.
        ContextLengthError: if the prompt is longer than the decoder's positions.
    """
    if chunk_size is not None and chunk_size < 1:
        raise InputError(f"chunk_size {chunk_size}", rule="a chunk has at least one position")
    given = input_ids if inputs_embeds is None else inputs_embeds
    if given is None:
        raise InputError("neither input_ids nor inputs_embeds", rule="one of them is given")
    total = given.shape[1]
    _require_prompt(total, attention_mask)
    model.decoder.require_context(total)
    kv_cache = cache if isinstance(cache, KVCache) else model.decoder.new_cache(cache)
    if kv_cache.length >= total:
        kv_cache.crop(total - 1)
    past = kv_cache.length
    if inputs_embeds is not None:
        x_BTD = inputs_embeds[:, past:]
    elif past and (images_seq_mask is None or not bool(images_seq_mask[:, past:].any())):
        x_BTD = model.decoder.embed(given[:, past:])
    else:
        x_BTD = model.prepare_inputs_embeds(given, images, images_seq_mask, images_spatial_crop)[:, past:]
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
        inputs: the prompt as in `prefill`.

    Yields:
        int64[B], until every row has ended.

    Raises:
        ConfigError: if a sampling setting is out of range.
        InputError, ShapeError: if the inputs do not fit each other.
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
    eos = model.config.decoder.stop_ids if eos_token_id is None else _as_tuple(eos_token_id)
    pad = model.config.decoder.padding_id if pad_token_id is None else pad_token_id
    if stop and tokenizer is None:
        raise InputError("stop strings without a tokenizer", rule="they are looked for in the text of the new tokens")
    prompt = inputs.get("input_ids")
    embeds = inputs.get("inputs_embeds")
    length = prompt.shape[1] if prompt is not None else embeds.shape[1] if embeds is not None else 0
    model.decoder.require_context(length + max(max_new_tokens - 1, 0))

    def step(ids_B: Tensor) -> Tensor:
        embeds_BTD = model.decoder.embed(ids_B[:, None])
        logits_BTV = model(inputs_embeds=embeds_BTD, cache=out.cache, logits_to_keep=1).logits
        return logits_BTV[:, -1]

    with torch.no_grad():
        out = prefill(model, cache=cache, chunk_size=chunk_size, **inputs)
        assert out.logits is not None
        steps = decode(
            out.logits[:, -1],
            step,
            sampling=sampling,
            max_new_tokens=max_new_tokens,
            eos_token_ids=tuple(token for token in eos if token < out.logits.shape[-1]),
            pad_token_id=pad if pad is not None else (eos[0] if eos else 0),
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
    eos = settings.get("eos_token_id")
    ends = set(model.config.decoder.stop_ids if eos is None else _as_tuple(eos))
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


def _as_tuple(token: int | Sequence[int]) -> tuple[int, ...]:
    return (token,) if isinstance(token, int) else tuple(token)


def _said(prompt: Tensor, inputs: Mapping[str, Tensor | None]) -> Tensor:
    mask = torch.ones_like(prompt, dtype=torch.bool)
    attention_mask, images_seq_mask = inputs.get("attention_mask"), inputs.get("images_seq_mask")
    if attention_mask is not None:
        mask &= attention_mask.bool()
    if images_seq_mask is not None:
        mask &= ~images_seq_mask.bool()
    return mask


def _require_prompt(length: int, attention_mask: Tensor | None) -> None:
    if length == 0:
        raise InputError("the prompt is empty", rule="generation begins after at least one token")
    if attention_mask is not None and not bool(attention_mask[:, -1].all()):
        raise InputError(
            "attention_mask ends in padding",
            rule="a row goes on where its text ends, so padding stands on the left",
            remedy='let the processor pad with padding_side="left"',
        )
