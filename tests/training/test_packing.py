"""Packed rows: nothing gets lost, and a row gives the loss of its samples alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import vlkit
from tests.small_models import Case, Sample, cases
from tests.strategies import seeds
from vlkit.errors import InputError
from vlkit.processing.batching import Sample as Encoded
from vlkit.training.packing import fill_rows, join, number_samples


@given(st.lists(st.integers(1, 20), max_size=30), st.integers(20, 40))
def test_every_sample_has_one_row_and_no_row_is_too_long(lengths: list[int], capacity: int) -> None:
    rows = fill_rows(lengths, capacity)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert all(sum(lengths[number] for number in row) <= capacity for row in rows)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30), st.integers(20, 40))
def test_at_most_one_row_is_less_than_half_full(lengths: list[int], capacity: int) -> None:
    filled = [sum(lengths[number] for number in row) for row in fill_rows(lengths, capacity)]
    assert sum(2 * tokens <= capacity for tokens in filled) <= 1


def test_samples_are_numbered_from_one_with_zero_for_padding() -> None:
    assert number_samples([[1, 2], [2]]).tolist() == [[1, 2, 2], [1, 1, 0]]


def labels_of(inputs: dict[str, Tensor], seed: int) -> Tensor:
    """Some of the ids as labels, never an image position's or the first one's."""
    drawn = torch.rand(inputs["input_ids"].shape, generator=torch.Generator().manual_seed(seed)) < 0.8
    labels = inputs["input_ids"].masked_fill(~drawn | inputs["images_seq_mask"], -100)
    labels[:, 0] = -100
    return labels


def encoded(inputs: dict[str, Tensor], labels: Tensor, sample: Sample) -> Encoded:
    """As processors give it: a picture without tiles takes no place among tiles that stand apart from global views."""
    return Encoded(
        input_ids=inputs["input_ids"][0],
        labels=labels[0],
        images_seq_mask=inputs["images_seq_mask"][0],
        images=inputs["images"][0] if sample.overviews is None else sample.pixels,
        images_spatial_crop=inputs["images_spatial_crop"][0],
        sft_format="",
        num_image_tokens=[1] * len(sample.tiles),
        tilings=[],
        global_views=inputs["global_views"][0] if "global_views" in inputs else None,
    )


@given(cases(), seeds)
def test_a_packed_row_gives_the_loss_and_gradient_of_its_samples_alone(case: Case, seed: int) -> None:
    model = case.model.train()
    alone = [case.alone(row) for row in range(len(case.samples))]
    labels = [labels_of(inputs, seed + row) for row, inputs in enumerate(alone)]
    outs = [model(**inputs, labels=own, reduction="sum") for inputs, own in zip(alone, labels)]
    joined = join([encoded(a, own, s) for a, own, s in zip(alone, labels, case.samples)])
    padding = 2
    numbers = torch.nn.functional.pad(number_samples([[len(s.ids) for s in case.samples]]), (0, padding))
    row = {
        "input_ids": torch.nn.functional.pad(joined.input_ids[None], (0, padding), value=2),
        "images_seq_mask": torch.nn.functional.pad(joined.images_seq_mask[None], (0, padding)),
        "images": joined.images[None],
        "images_spatial_crop": joined.images_spatial_crop[None],
        **({} if joined.global_views is None else {"global_views": joined.global_views[None]}),
    }
    row_labels = torch.nn.functional.pad(joined.labels[None], (0, padding), value=-100)
    packed = model(**row, labels=row_labels, sequence_ids=numbers, reduction="sum")
    expected = torch.stack([out.loss for out in outs]).sum()
    torch.testing.assert_close(packed.loss, expected, rtol=1e-9, atol=1e-9)
    wanted = gradients(model, expected)
    torch.testing.assert_close(gradients(model, packed.loss), wanted, rtol=1e-6, atol=1e-8)
    if packed.aux_loss is not None and model.config.decoder.moe.seq_aux:  # type: ignore[attr-defined]
        mean = torch.stack([out.aux_loss for out in outs]).mean()
        torch.testing.assert_close(packed.aux_loss, mean, rtol=1e-9, atol=1e-12)


def gradients(model: torch.nn.Module, loss: Tensor) -> list[Tensor]:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True, materialize_grads=True)
    return list(found)


@given(cases(most=2), seeds)
def test_the_first_label_of_a_sample_is_not_counted(case: Case, seed: int) -> None:
    inputs, length = case.alone(0), len(case.samples[0].ids)
    twice = {name: torch.cat([inputs[name]] * 2, dim=1) for name in ("input_ids", "images_seq_mask")}
    twice |= {
        name: torch.cat([inputs[name]] * (2 if case.samples[0].tiles else 1), dim=1) for name in inputs.keys() - twice
    }
    del twice["attention_mask"]
    numbers = number_samples([[length, length]])
    labels = labels_of(inputs, seed)
    begun = torch.cat([labels, labels], dim=1)
    begun[0, length] = 5
    out, plain = (
        case.model(**twice, labels=own, sequence_ids=numbers, reduction="sum")
        for own in (begun, torch.cat([labels, labels], dim=1))
    )
    torch.testing.assert_close(out.loss, plain.loss)


@given(cases(most=1))
def test_packed_rows_have_no_cache(case: Case) -> None:
    inputs = case.alone(0)
    with pytest.raises(InputError, match="cache"):
        case.model(**inputs, sequence_ids=torch.ones_like(inputs["input_ids"]), cache="resident")


def test_a_decoder_that_cannot_keep_samples_apart_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    model = vlkit.build(vlkit.presets["mini"])
    monkeypatch.setattr(type(model.decoder), "packs", False)
    ids = torch.ones(1, 3, dtype=torch.long)
    with pytest.raises(InputError, match="DeepseekV2"):
        model(input_ids=ids, sequence_ids=ids)
