"""Batches: rows are the samples, padding is neither attended nor learned."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlkit.errors import InputError
from vlkit.processing.batching import PaddingSide, Sample, collate, split_rows

PAD, IGNORE = 2, -100


def sample(length: int, tiles: int, images: int) -> Sample:
    ids = torch.arange(10, 10 + length)
    return Sample(
        input_ids=ids,
        labels=ids.masked_fill(ids % 3 == 0, IGNORE),
        images_seq_mask=ids % 3 == 0,
        images=torch.rand(tiles, 3, 2, 4) + 1,
        images_spatial_crop=torch.arange(1, 1 + 2 * images).view(images, 2),
        sft_format=str(length),
        num_image_tokens=[length],
        tilings=[],
    )


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=5),
    st.sampled_from(["left", "right"]),
)
def test_rows_without_padding_are_the_samples(sizes: list[tuple[int, int, int]], side: PaddingSide) -> None:
    samples = [sample(*size) for size in sizes]
    batch = collate(samples, pad_id=PAD, ignore_id=IGNORE, padding_side=side)
    length = max(size[0] for size in sizes)
    assert batch.sft_format == [one.sft_format for one in samples]
    assert batch.num_image_tokens == [one.num_image_tokens for one in samples]
    for row, one in enumerate(samples):
        own = len(one.input_ids)
        real = slice(length - own, None) if side == "left" else slice(own)
        padding = torch.ones(length, dtype=torch.bool)
        padding[real] = False
        for name in ("input_ids", "labels", "images_seq_mask"):
            assert torch.equal(batch[name][row, real], getattr(one, name))
        assert torch.equal(batch.attention_mask[row], ~padding)
        assert (batch.input_ids[row, padding] == PAD).all()
        assert (batch.labels[row, padding] == IGNORE).all()
        assert not batch.images_seq_mask[row, padding].any()
        for name in ("images", "images_spatial_crop"):
            given_rows = getattr(one, name)
            assert torch.equal(batch[name][row, : len(given_rows)], given_rows)
            assert not batch[name][row, len(given_rows) :].any()
    types = {name: batch[name].dtype for name in batch}
    assert types["attention_mask"] == types["images_seq_mask"] == torch.bool


def test_padding_token_inside_the_text_follows_the_official_batches() -> None:
    one = sample(4, 1, 1)
    one.input_ids[1] = one.labels[1] = PAD
    left = collate([one], pad_id=PAD, ignore_id=IGNORE, padding_side="left")
    right = collate([one], pad_id=PAD, ignore_id=IGNORE, padding_side="right")
    assert (left.attention_mask[0, 1].item(), left.labels[0, 1].item()) == (True, IGNORE)
    assert (right.attention_mask[0, 1].item(), right.labels[0, 1].item()) == (False, PAD)
    assert one.labels[1] == PAD


def test_a_padding_token_that_is_part_of_texts_is_one_of_them() -> None:
    long, short = sample(5, 1, 1), sample(3, 1, 1)
    for one in (long, short):
        one.input_ids[-1] = one.labels[-1] = PAD
    sides: tuple[PaddingSide, ...] = ("left", "right")
    for side in sides:
        batch = collate([long, short], pad_id=PAD, ignore_id=IGNORE, padding_side=side, pad_is_text=True)
        assert batch.attention_mask.sum(dim=1).tolist() == [5, 3]
        for row, one in enumerate([long, short]):
            real = batch.attention_mask[row]
            assert torch.equal(batch.input_ids[row, real], one.input_ids)
            assert torch.equal(batch.labels[row, real], one.labels)
            assert (batch.labels[row, ~real] == IGNORE).all()


def test_unusable_batches_are_refused() -> None:
    side: Any = "top"
    with pytest.raises(InputError, match="top"):
        collate([sample(1, 1, 1)], pad_id=PAD, ignore_id=IGNORE, padding_side=side)
    with pytest.raises(InputError, match="empty"):
        collate([], pad_id=PAD, ignore_id=IGNORE)


def test_texts_get_their_own_images() -> None:
    assert split_rows("a", ["x"], item=str) == [("a", ["x"])]
    assert split_rows(["a", "b"], [["x"], []], item=str) == [("a", ["x"]), ("b", [])]
    assert split_rows(["a", "b"], None, item=str) == [("a", None), ("b", None)]
    assert split_rows([{}], ["x"], item=(list, tuple)) == [([{}], ["x"])]
    assert split_rows([[{}]], [["x"]], item=(list, tuple)) == [([{}], ["x"])]
    unusable: list[Any] = [[[]], "ab", 3]
    for images in unusable:
        with pytest.raises(InputError, match="2 samples"):
            split_rows(["a", "b"], images, item=str)
