"""Spans and image counts become the integers of a sample."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlkit.errors import InputError
from vlkit.processing.chat import Span
from vlkit.processing.sequence import TokenSequence, count_tags
from vlkit.processing.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def tokenizer(golden: Path) -> Tokenizer:
    return Tokenizer.from_folder(golden / "a8_processor" / "processor")


def sequence(tokenizer: Tokenizer, parts: list[Span], counts: list[int]) -> TokenSequence:
    grown = TokenSequence(tokenizer, tokenizer.id_of("<image>"), -100)
    grown.extend(parts, "<image>", counts)
    return grown


@given(
    pieces=st.lists(st.lists(st.text("ab \n", max_size=5), min_size=1, max_size=3), max_size=4),
    flags=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=4, max_size=4),
    counts=st.lists(st.integers(0, 5), min_size=8, max_size=8),
)
def test_every_tag_becomes_its_count_and_text_between_is_tokenised_on_its_own(
    tokenizer: Tokenizer, pieces: list[list[str]], flags: list[tuple[bool, bool]], counts: list[int]
) -> None:
    parts = [Span("<image>".join(texts), learned, ends) for texts, (learned, ends) in zip(pieces, flags)]
    tags = sum(len(texts) - 1 for texts in pieces)
    grown = sequence(tokenizer, parts, counts[:tags])
    ids, labels, counted = [tokenizer.bos_id], [tokenizer.bos_id], iter(counts)
    for texts, (learned, ends) in zip(pieces, flags):
        for index, text in enumerate(texts):
            image = [tokenizer.id_of("<image>")] * next(counted) if index else []
            words = tokenizer.encode(text) + [tokenizer.eos_id] * (ends and index == len(texts) - 1)
            ids += image + words
            labels += [-100] * len(image) + (words if learned else [-100] * len(words))
    assert (grown.input_ids, grown.labels) == (ids, labels)
    assert grown.images_seq_mask == [number == tokenizer.id_of("<image>") for number in ids]
    assert len(grown) == len(ids)


def test_open_end_takes_the_end_of_sentence_away(tokenizer: Tokenizer) -> None:
    grown = sequence(tokenizer, [Span("a", learned=True, ends=True)], [])
    grown.open_end()
    assert grown.input_ids == grown.labels == [tokenizer.bos_id, *tokenizer.encode("a")]
    assert grown.images_seq_mask == [False, False]
    with pytest.raises(InputError, match="inference_mode=False"):
        grown.open_end()


def test_tags_and_images_have_to_fit() -> None:
    parts = [Span("<image>a<image>", learned=True), Span("<image>", learned=True)]
    assert count_tags(parts, "<image>", 3, surplus_allowed=False) == 3
    for images, surplus_allowed in ((2, True), (2, False), (4, False)):
        with pytest.raises(InputError, match=f"3 image tags for {images} images"):
            count_tags(parts, "<image>", images, surplus_allowed=surplus_allowed)
    with pytest.warns(UserWarning, match="1 of 4 images"):
        assert count_tags(parts, "<image>", 4, surplus_allowed=True) == 3
