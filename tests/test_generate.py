"""Laws of running a model: however a prompt is cut, cached and batched, the answer is that of the plain loop."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

import vlkit
from tests.small_models import PAD, Case, cache_of, cases, logits_of, random_model
from tests.strategies import seeds
from tests.tolerances import EXACT
from vlkit.errors import InputError, ShapeError
from vlkit.models.deepseek_vl2.model import DeepseekVLV2

STEPS = 5
policies = st.sampled_from(["resident", "static", "offload", "chunk_offload", "disk"])


def plain_loop(model: DeepseekVLV2, batch: dict[str, Tensor], ends: tuple[int, ...]) -> Tensor:
    """Greedy ids, the whole sequence run anew for each."""
    inputs = dict(batch)
    mask = inputs.pop("attention_mask")
    embeds = model.prepare_inputs_embeds(**inputs)
    ids: list[Tensor] = []
    ended = torch.zeros(len(mask), dtype=torch.bool)
    while len(ids) < STEPS and not ended.all():
        chosen = model(inputs_embeds=embeds, attention_mask=mask).logits[:, -1].argmax(dim=-1)
        ids.append(chosen.masked_fill(ended, PAD))
        ended = ended | torch.isin(ids[-1], torch.tensor(ends))
        embeds = torch.cat([embeds, model.decoder.embed(ids[-1][:, None])], dim=1)
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
    return torch.stack(ids, dim=1)


@given(cases(), policies, st.none() | st.integers(1, 40), st.data())
def test_generation_is_the_plain_loop(case: Case, policy: str, chunk_size: int | None, data: st.DataObject) -> None:
    stop_ids = case.model.config.decoder.stop_ids
    own = data.draw(st.none() | st.just(()) | st.lists(st.integers(0, 47), max_size=20).map(tuple))
    expected = plain_loop(case.model, case.batch, stop_ids if own is None else own)
    settings: dict[str, Any] = {"cache": policy, "chunk_size": chunk_size, "eos_token_id": own}
    assert torch.equal(case.model.generate(**case.batch, max_new_tokens=STEPS, **settings), expected)


@given(cases(all_experts_active=True), st.sampled_from([0.0, 1.0]), st.integers(0, 1000))
def test_a_row_says_what_its_sample_says_alone(case: Case, temperature: float, seed: int) -> None:
    settings: dict[str, Any] = {"max_new_tokens": STEPS, "temperature": temperature, "repetition_penalty": 1.3}
    batch = case.model.generate(**case.batch, **settings, seed=seed)
    for row in range(len(case.samples)):
        alone = case.model.generate(**case.alone(row), **settings, seed=seed + row)[0].tolist()
        assert batch[row].tolist() == alone + [PAD] * (batch.shape[1] - len(alone))


@given(cases(), st.integers(1, 60), policies)
def test_a_prompt_in_chunks_is_the_whole_prompt(case: Case, chunk_size: int, policy: str) -> None:
    whole = case.model(**case.batch, cache="resident")
    out = case.model.incremental_prefilling(**case.batch, chunk_size=chunk_size, cache=policy)
    assert_close(logits_of(out), whole.logits[:, -1:], rtol=0, atol=EXACT)
    assert torch.equal(out.inputs_embeds, whole.inputs_embeds)
    assert not logits_of(out).requires_grad
    real = case.batch["attention_mask"]
    for ours, theirs in zip(cache_of(out).layers, whole.cache.layers, strict=True):
        for in_chunks, at_once in zip(ours.tensors, theirs.tensors, strict=True):
            assert not in_chunks.requires_grad
            heads = (in_chunks, at_once) if in_chunks.ndim == 4 else (in_chunks[:, None], at_once[:, None])
            chunked, plain = (values.transpose(1, 2)[real] for values in heads)
            assert_close(chunked, plain, rtol=0, atol=EXACT)


@given(cases(), st.data(), policies)
def test_a_cached_beginning_changes_nothing_and_spares_its_pictures(
    case: Case, data: st.DataObject, policy: str
) -> None:
    prompt = with_more_text(case.batch, data.draw(st.integers(0, 4)))
    length = prompt["input_ids"].shape[1]
    cut = data.draw(st.integers(1, length))
    settings: dict[str, Any] = {"max_new_tokens": STEPS, "eos_token_id": ()}
    expected = case.model.generate(**prompt, **settings)
    embeds = case.model.prepare_inputs_embeds(**{k: v for k, v in prompt.items() if k != "attention_mask"})
    begun = case.model(inputs_embeds=embeds[:, :cut], attention_mask=prompt["attention_mask"][:, :cut], cache=policy)
    runs: list[nn.Module] = []
    case.model.encoder.register_forward_pre_hook(lambda module, args: runs.append(module))
    assert torch.equal(case.model.generate(**prompt, **settings, cache=begun.cache), expected)
    assert bool(runs) == bool(prompt["images_seq_mask"][:, min(cut, length - 1) :].any())
    assert torch.equal(case.model.generate(**prompt, **settings, cache=begun.cache), expected)


@pytest.mark.parametrize(("cached", "asked"), [(2, 1), (1, 2)])
def test_a_cache_holds_the_samples_of_the_prompt_or_is_reordered(cached: int, asked: int) -> None:
    model = random_model(vlkit.presets["mini"], 0)
    prompt = torch.arange(4, 12)
    cache = cache_of(model.incremental_prefilling(input_ids=prompt[:5].expand(cached, -1)))
    with pytest.raises(ShapeError, match=rf"a cache of {cached} samples for a prompt of {asked}[\s\S]*cache\.reorder"):
        model.generate(input_ids=prompt.expand(asked, -1), cache=cache)
    cache.reorder(torch.zeros(asked, dtype=torch.long))
    ids = model.generate(input_ids=prompt.expand(asked, -1), cache=cache, max_new_tokens=3)
    assert torch.equal(ids, model.generate(input_ids=prompt.expand(asked, -1), max_new_tokens=3))


@given(cases(), st.data(), st.integers(1, 3), policies, st.integers(1, 9))
def test_many_questions_go_on_from_one_document(
    case: Case, data: st.DataObject, questions: int, policy: str, chunk_size: int
) -> None:
    """The document is run and kept once; each fork answers as if it had been run for it alone."""
    rows = len(case.batch["input_ids"])
    document = case.model.incremental_prefilling(**case.batch, cache=policy, chunk_size=chunk_size)
    held, settings = cache_of(document).nbytes, {"max_new_tokens": STEPS, "eos_token_id": ()}
    for number in range(questions):
        prompt = with_more_text(case.batch, data.draw(st.integers(1, 3)), first=4 + 5 * number)
        fork = cache_of(document).fork()
        found = case.model.generate(**prompt, **settings, cache=fork, chunk_size=chunk_size)
        assert torch.equal(found, case.model.generate(**prompt, **settings))
    together = {name: values.repeat_interleave(2, dim=0) for name, values in prompt.items()}
    fork = cache_of(document).fork(copies=2)
    assert torch.equal(case.model.generate(**together, **settings, cache=fork), found.repeat_interleave(2, dim=0))
    assert cache_of(document).nbytes == held
    assert len(fork.layers[0].tensors[0]) == 2 * rows


def with_more_text(batch: dict[str, Tensor], count: int, *, first: int = 4) -> dict[str, Tensor]:
    rows = len(batch["input_ids"])
    more = {
        "input_ids": torch.arange(first, first + count).expand(rows, -1),
        "attention_mask": torch.ones(rows, count, dtype=torch.bool),
        "images_seq_mask": torch.zeros(rows, count, dtype=torch.bool),
    }
    return batch | {name: torch.cat([batch[name], values], dim=1) for name, values in more.items()}


class Letters:
    """A tokenizer whose ids are letters; special ones have no text."""

    def decode(self, ids: list[int]) -> str:
        return "".join(chr(60 + token) for token in ids if token > 3)


@given(cases(most=1), st.data())
def test_streamed_text_is_the_text_of_the_answer(case: Case, data: st.DataObject) -> None:
    letters = Letters()
    text = letters.decode(case.model.generate(**case.batch, max_new_tokens=8)[0].tolist())
    pieces = list(case.model.stream(letters, **case.batch, max_new_tokens=8))
    assert "".join(pieces) == text
    stop = data.draw(st.sampled_from(sorted({text[i : i + 2] for i in range(len(text))} - {""}) or ["zz"]))
    shorter = "".join(case.model.stream(letters, **case.batch, max_new_tokens=8, stop=stop))
    assert shorter == text.split(stop)[0]


@given(cases(), st.data())
def test_a_stop_string_ends_its_row(case: Case, data: st.DataObject) -> None:
    letters, ends = Letters(), case.model.config.decoder.stop_ids
    free = case.model.generate(**case.batch, max_new_tokens=8).tolist()
    texts = [letters.decode(row) for row in free]
    stop = data.draw(st.sampled_from(sorted({text[i : i + 2] for text in texts for i in range(len(text))}) or ["zz"]))
    ids = case.model.generate(**case.batch, max_new_tokens=8, stop=stop, tokenizer=letters).tolist()
    needed = [
        next((n for n in range(1, len(row)) if stop in letters.decode(row[:n]) or row[n - 1] in ends), len(row))
        for row in free
    ]
    assert ids == [(row[:n] + [PAD] * 8)[: max(needed)] for row, n in zip(free, needed, strict=True)]


@given(cases(least_pictures=1), seeds)
def test_ids_at_image_positions_do_not_matter(case: Case, seed: int) -> None:
    batch = case.batch
    other = torch.randint(48, batch["input_ids"].shape, generator=torch.Generator().manual_seed(seed))
    changed = batch | {"input_ids": torch.where(batch["images_seq_mask"], other, batch["input_ids"])}
    settings: dict[str, Any] = {"repetition_penalty": 5.0, "no_repeat_ngram_size": 2, "max_new_tokens": STEPS}
    assert torch.equal(case.model.generate(**changed, **settings), case.model.generate(**batch, **settings))


def test_text_is_streamed_for_one_sample() -> None:
    model = vlkit.build("mini")
    with pytest.raises(InputError, match="2 samples"):
        list(model.stream(Letters(), input_ids=torch.full((2, 3), 7)))
    with pytest.raises(InputError, match="stop strings without a tokenizer"):
        model.generate(input_ids=torch.full((2, 3), 7), stop="a")


@given(cases(most=1), seeds)
def test_running_leaves_no_trace(case: Case, seed: int) -> None:
    torch.manual_seed(seed)
    state = torch.get_rng_state()
    weights = {name: value.clone() for name, value in case.model.state_dict().items()}
    steps = iter(case.model.stream(Letters(), **case.batch, max_new_tokens=3, temperature=1.0, seed=3))
    next(steps, None)
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, weights[name]) for name, value in case.model.state_dict().items())
    assert case.model.generate(**case.batch, max_new_tokens=0).shape == (1, 0)
