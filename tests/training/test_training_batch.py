"""A padded batch and packed rows give the loss of their samples alone."""

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import vlkit
from tests.training.some_samples import processor, sample
from vlkit.training.encoding import encode
from vlkit.training.training_batch import make_batch

PROCESSOR = processor()
MODEL = vlkit.build(vlkit.presets["mini"], dtype=torch.float64)
assert MODEL.config.decoder.moe.seq_aux


def losses(numbers: list[int], capacity: int | None = None) -> tuple[Tensor, Tensor]:
    batch = make_batch(PROCESSOR, [encode(PROCESSOR, sample(number)) for number in numbers], capacity=capacity)
    out = MODEL.train()(**batch.to(dtype=torch.float64), reduction="sum")
    assert batch.samples == len(numbers) and batch.counted == int((batch["labels"][:, 1:] != -100).sum())
    assert batch.tokens == int(batch["attention_mask"].sum())
    return out.loss, out.aux_loss


@settings(max_examples=15)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=4), st.sampled_from([None, 300, 1000]))
def test_a_batch_has_the_losses_of_its_samples(numbers: list[int], capacity: int | None) -> None:
    with torch.no_grad():
        loss, aux_loss = losses(numbers, capacity)
        alone = [losses([number]) for number in numbers]
    torch.testing.assert_close(loss, torch.stack([one for one, _ in alone]).sum(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(aux_loss, torch.stack([one for _, one in alone]).mean(), rtol=1e-9, atol=1e-12)


def test_a_padding_token_inside_a_text_is_a_token_like_any_other() -> None:
    encoded = encode(PROCESSOR, sample(0))
    ids = encoded.input_ids.clone()
    ids[-2] = PROCESSOR.tokenizer.pad_id
    batch = make_batch(PROCESSOR, [replace(encoded, input_ids=ids, labels=ids), encode(PROCESSOR, sample(6))])
    assert batch["attention_mask"].sum(dim=1).tolist() == [len(ids), len(encode(PROCESSOR, sample(6)).input_ids)]
    assert batch["labels"][0, len(ids) - 2] == PROCESSOR.tokenizer.pad_id


def test_only_pixels_change_their_type() -> None:
    batch = make_batch(PROCESSOR, [encode(PROCESSOR, sample(1))]).to("cpu", torch.bfloat16)
    assert batch["images"].dtype == torch.bfloat16 and batch["labels"].dtype == torch.int64
    assert batch["attention_mask"].dtype == torch.bool and 0 < batch.filled <= 1


def test_an_empty_batch_runs_and_counts_nothing() -> None:
    batch = make_batch(PROCESSOR, [])
    out = MODEL(**batch.to(dtype=torch.float64), reduction="sum")
    assert out.loss == 0 and (batch.samples, batch.counted) == (0, 0)
