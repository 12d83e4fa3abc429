"""Many answers at a time are the answers one by one; probabilities are those of generating token by token."""

from typing import Any

import pytest
import torch
from PIL import Image

import vlkit
from vlkit.errors import InputError
from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor
from vlkit.printed_text.answering import answer_all, judged, question_inputs
from vlkit.printed_text.questions import READ, WHERE
from vlkit.printed_text.reading import read

PICTURES = [Image.linear_gradient("L").resize(size).convert("RGB") for size in ((100, 56), (56, 56), (60, 110))]


@pytest.fixture(scope="module")
def small() -> tuple[Any, Any]:
    torch.manual_seed(0)
    model = vlkit.build("mini").eval()
    return model, DeepseekVLV2Processor.for_model(model.config)


@torch.no_grad()
def test_probability_is_the_mean_over_the_tokens_as_they_are_generated(small: tuple[Any, Any]) -> None:
    model, processor = small
    inputs = question_inputs(processor, [(READ, PICTURES[0])])
    ids_BT = model.generate(**inputs, max_new_tokens=5)
    (answer,) = judged(model, processor, inputs, ids_BT)
    out, chosen = model(**inputs, cache="resident"), []
    for number in range(5):
        chosen.append(float(out.logits[0, -1].softmax(dim=-1)[ids_BT[0, number]]))
        out = model(input_ids=ids_BT[:, number : number + 1], cache=out.cache)
    assert answer.probability == pytest.approx(sum(chosen) / 5, rel=1e-4)
    assert answer.ended == (int(ids_BT[0, -1]) == processor.tokenizer.eos_id)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_answers_of_a_batch_are_those_of_its_questions(small: tuple[Any, Any], batch_size: int) -> None:
    model, processor = small
    told: list[int] = []
    found = answer_all(
        model, processor, [(READ, picture) for picture in PICTURES], batch_size=batch_size, on_batch=told.append
    )
    assert told == {1: [1, 2, 3], 2: [2, 3], 3: [3]}[batch_size]
    for answer, picture in zip(found, PICTURES, strict=True):
        alone = read(model, processor, picture)
        assert (answer.text, answer.ended) == (alone.text, alone.ended)
        assert answer.probability == pytest.approx(alone.probability, rel=1e-4)


def test_each_answer_goes_to_its_own_end(small: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = small
    tokenizer, texts = processor.tokenizer, ["AB 12", "C", "endless"]
    questions = [READ, WHERE, READ]
    rows = [[*tokenizer.encode(text), tokenizer.eos_id] for text in texts[:2]] + [tokenizer.encode(texts[2])]
    longest = max(map(len, rows))
    padded = torch.tensor([row + [tokenizer.pad_id] * (longest - len(row)) for row in rows])
    monkeypatch.setattr(type(model), "generate", lambda self, **inputs: padded)
    found = answer_all(model, processor, list(zip(questions, PICTURES)))
    assert [(answer.text, answer.ended) for answer in found] == [("AB 12", True), ("C", True), ("endless", False)]
    for answer, row, question, picture in zip(found, rows, questions, PICTURES, strict=True):
        (alone,) = judged(model, processor, question_inputs(processor, [(question, picture)]), torch.tensor([row]))
        assert answer.probability == pytest.approx(alone.probability, rel=1e-4)


@torch.no_grad()
def test_places_are_judged_apart_from_what_is_read(small: tuple[Any, Any]) -> None:
    model, processor = small
    tokenizer, text = processor.tokenizer, "<|ref|>AB<|/ref|><|det|>[[1, 23, 4, 5]]<|/det|><|ref|>C<|/ref|>"
    ids_BT = torch.tensor([[*tokenizer.encode(text), tokenizer.eos_id]])
    inputs = question_inputs(processor, [(WHERE, PICTURES[0])])
    (answer,) = judged(model, processor, inputs, ids_BT)
    out, likely = model(**inputs, cache="resident"), []
    for number in range(ids_BT.shape[1]):
        likely.append(float(out.logits[0, -1].softmax(dim=-1)[ids_BT[0, number]]))
        out = model(input_ids=ids_BT[:, number : number + 1], cache=out.cache)
    coordinates = len(tokenizer.encode("[[1, 23, 4, 5]]"))
    read = [likely[1], likely[2], likely[-3], likely[-1]]
    assert answer.probability == pytest.approx(sum(read) / 4, rel=1e-4)
    assert answer.place_probability == pytest.approx(sum(likely[5 : 5 + coordinates]) / coordinates, rel=1e-4)
    assert answer.text == text and answer.ended


def test_an_answer_of_tags_alone_reads_nothing(small: tuple[Any, Any]) -> None:
    model, processor = small
    ids_BT = torch.tensor([processor.tokenizer.encode("<|ref|><|det|>")])
    (answer,) = judged(model, processor, question_inputs(processor, [(WHERE, PICTURES[0])]), ids_BT)
    assert (answer.probability, answer.place_probability, answer.ended) == (0.0, None, False)


def test_no_questions_have_no_answers_and_a_batch_has_some(small: tuple[Any, Any]) -> None:
    assert answer_all(*small, []) == []
    with pytest.raises(InputError, match="batch_size is 0"):
        answer_all(*small, [(READ, PICTURES[0])], batch_size=0)
