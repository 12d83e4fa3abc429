"""From a sample to ids and labels: only answers are learned, nothing is cut off, and bad samples say where they are."""

import pickle

import pytest
import torch
from PIL import Image

from tests.training.some_samples import conversation, processor, sample
from vlkit.training import Sample, SampleError
from vlkit.training.encoding import encode, nothing


def test_labels_are_the_answer_and_its_end() -> None:
    made = processor()
    encoded = encode(made, sample(4))
    learned = encoded.labels[encoded.labels != -100]
    assert made.decode(learned) == "it is 4.<｜end▁of▁sentence｜>"
    assert torch.equal(learned, encoded.input_ids[-len(learned) :])


def test_the_first_position_is_no_label_even_if_questions_are_learned() -> None:
    made = processor()
    learns_all = type(made)(made.tokenizer, made.config.replace(mask_prompt=False), geometry=made.geometry)
    encoded = encode(learns_all, sample(3))
    assert encoded.labels[0] == -100 and (encoded.labels[1:] != -100).all()


def test_other_tags_and_ignored_ids_of_a_processor_are_met() -> None:
    made = processor()
    own = made.config.replace(ignore_id=-7)
    encoded = encode(type(made)(made.tokenizer, own, geometry=made.geometry), sample(2))
    assert not (encoded.labels == -7).any()
    assert (
        int(encoded.images_seq_mask.sum()) == sum(encoded.num_image_tokens) > 0 and len(encoded.num_image_tokens) == 2
    )


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Sample(conversation("<image>", "a"), (), "here"), "0 images for 1"),
        (Sample(conversation("no tag", "a"), (Image.new("RGB", (2, 2)),), "here"), "1 images for 0"),
        (Sample(conversation("q", "<image>"), (), "here"), "holds <image>"),
        (Sample((), (), "here"), "conversation is"),
        (Sample(({"role": "cat", "content": "x"},), (), "here"), "role 'cat'"),
        (Sample(({"role": "<|User|>", "content": 3},), (), "here"), "content"),
        (Sample(({"role": "<|User|>", "content": "x"},), (), "here"), "no token of it is learned"),
    ],
)
def test_bad_samples_say_where_they_are(bad: Sample, reason: str) -> None:
    with pytest.raises(SampleError) as caught:
        encode(processor(), bad)
    assert caught.value.origin == "here" and reason in caught.value.reason


def test_a_long_sample_is_refused_and_never_cut() -> None:
    made = processor()
    length = len(encode(made, sample(4)).input_ids)
    assert len(encode(made, sample(4), max_length=length).input_ids) == length
    with pytest.raises(SampleError, match=f"has {length} tokens"):
        encode(made, sample(4), max_length=length - 1)


def test_of_nothing_nothing_is_learned() -> None:
    empty = nothing(processor())
    assert len(empty.input_ids) and (empty.labels == -100).all()


def test_a_sample_error_survives_a_pickle() -> None:
    error = pickle.loads(pickle.dumps(SampleError("here", "why", rule="a rule", remedy="do")))
    assert (error.origin, error.reason, error.rule, error.remedy) == ("here", "why", "a rule", "do")
    assert str(error) == "here: why\n  rule:   a rule\n  remedy: do"
