"""What is read is text without its end, and of the words that are located the one that is meant is found."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import vlkit
from vlkit.evaluation.edit_distance import levenshtein
from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor
from vlkit.printed_text.answer import Answer
from vlkit.printed_text.reading import LEAST_LIKENESS, find, found_word, locate, read, word_box
from vlkit.processing.grounding import GroundedObject, render
from vlkit.tiling import Box

PICTURE = Image.linear_gradient("L").resize((100, 56)).convert("RGB")


@pytest.fixture(scope="module")
def small() -> tuple[Any, Any]:
    torch.manual_seed(0)
    model = vlkit.build("mini").eval()
    return model, DeepseekVLV2Processor.for_model(model.config)


def test_read_gives_text_without_the_end_and_find_gives_a_box_in_pixels(
    small: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = small
    told = "<|ref|>AB<|/ref|><|det|>[[0, 0, 500, 999]]<|/det|>"
    for text in ("AB 12", told, "nothing"):
        ids = torch.tensor([[*processor.tokenizer.encode(text), processor.tokenizer.eos_id]])
        monkeypatch.setattr(type(model), "generate", lambda self, ids=ids, **inputs: ids)
        assert read(model, processor, PICTURE).text == text
        assert read(model, processor, PICTURE).ended
        assert locate(model, processor, PICTURE).text == text
        answer, box = find(model, processor, PICTURE, "AB")
        assert answer.text == text
        assert box == (Box(0, 0, 50, 56) if text == told else None)


def located(*words: str) -> Answer:
    """Answer with a box for each word, each further to the right."""
    boxes = [Box(10 * number, 0, 10 * number + 9, 999) for number in range(len(words))]
    return Answer(render(GroundedObject(word, (box,)) for word, box in zip(words, boxes, strict=True)), 1.0, True)


@pytest.mark.parametrize(
    ("words", "wanted", "index"),
    [
        (("AB12", "GALAXY"), "GALAXY", 1),
        (("AB12", "GALAXY"), "galaxy", 1),
        (("AB12", "GALAXV"), "GALAXY", 1),
        (("GALAXV", "GALAXY"), "GALAXY", 1),
        (("TWICE", "TWICE"), "TWICE", 0),
        (("AB12", "GALAXY"), "ABROAD", None),
        (("AB12",), "", None),
        ((), "AB12", None),
    ],
)
def test_the_word_that_is_most_like_the_wanted_one_is_found(
    words: tuple[str, ...], wanted: str, index: int | None
) -> None:
    found = found_word(located(*words), wanted)
    assert (None if found is None else found.boxes[0].left) == (None if index is None else 10 * index)
    box = word_box(located(*words), wanted, (1000, 50))
    assert (None if box is None else round(box.left, -1)) == (None if index is None else 10 * index)


WORDS = st.text("ABCDEFGH123", min_size=1, max_size=10)


@given(st.lists(WORDS, max_size=4, unique=True), WORDS)
def test_a_word_that_was_read_is_found_and_what_is_unlike_all_is_not(read_words: list[str], wanted: str) -> None:
    for number, word in enumerate(read_words):
        found = found_word(located(*read_words), word)
        assert found is not None and found.name == word and found.boxes[0].left == 10 * number
    found = found_word(located(*read_words), wanted)
    likeness = max((1 - levenshtein(word, wanted) / max(len(word), len(wanted)) for word in read_words), default=0.0)
    assert (found is not None) == (likeness >= LEAST_LIKENESS)
