"""Answers and how sure a model is of them: the probabilities are those of generating token by token."""

from typing import Any

import pytest
import torch
from PIL import Image

import vlkit
from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor
from vlkit.printed_text import reading
from vlkit.printed_text.questions import READ
from vlkit.printed_text.reading import Answer, find, judged, question_inputs, read
from vlkit.tiling import Box

PICTURE = Image.linear_gradient("L").resize((100, 56)).convert("RGB")


@pytest.fixture(scope="module")
def small() -> tuple[Any, Any]:
    torch.manual_seed(0)
    model = vlkit.build("mini").eval()
    return model, DeepseekVLV2Processor.for_model(model.config)


@torch.no_grad()
def test_probability_is_the_mean_over_the_tokens_as_they_are_generated(small: tuple[Any, Any]) -> None:
    model, processor = small
    inputs = question_inputs(processor, PICTURE, READ)
    ids_BT = model.generate(**inputs, max_new_tokens=5)
    answer = judged(model, processor, inputs, ids_BT)
    out, chosen = model(**inputs, cache="resident"), []
    for number in range(5):
        chosen.append(float(out.logits[0, -1].softmax(dim=-1)[ids_BT[0, number]]))
        out = model(input_ids=ids_BT[:, number : number + 1], cache=out.cache)
    assert answer.probability == pytest.approx(sum(chosen) / 5, rel=1e-4)
    assert answer.ended == (int(ids_BT[0, -1]) == processor.tokenizer.eos_id)


def test_an_answer_is_believed_if_it_ended_and_its_tokens_were_likely() -> None:
    assert Answer("A", 0.99, ended=True).believable
    assert not Answer("A", 0.99, ended=False).believable
    assert not Answer("A", 0.3, ended=True).believable
    assert not Answer("", 0.99, ended=True).believable


def test_an_answer_with_a_box_needs_less_since_digits_of_places_are_never_certain() -> None:
    text, place = Answer("A", 0.9, ended=True), Answer("<|ref|>A<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>", 0.9, ended=True)
    assert place.believable and not text.believable
    assert place.least == reading.LEAST_WITH_BOX < text.least == reading.LEAST_PROBABILITY


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
        answer, box = find(model, processor, PICTURE, "AB")
        assert answer.text == text
        assert box == (Box(0, 0, 50, 56) if text == told else None)


def test_the_threshold_is_a_probability() -> None:
    assert 0.5 < reading.LEAST_PROBABILITY < 1
