"""Answers in batches: the same as one by one, in the order of the questions, cut at their ends."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vlkit
from tests.evaluation.scripted import CONFIG, PROCESSOR, sample
from tests.small_models import draw_weights
from vlkit.evaluation import last_answer
from vlkit.evaluation.answering import answer, end_ids, evaluating
from vlkit.evaluation.questions import Asker, resolve_grouping
from vlkit.vlm import VLM


@pytest.fixture(scope="module")
def model() -> VLM:
    """A model with random numbers that say much."""
    built = vlkit.build(CONFIG, dtype=torch.float64)
    draw_weights(built, 3)
    return built.eval()


kinds = st.sampled_from([(), ((60, 60),), ((150, 50),), ((40, 90), (56, 56)), ((30, 30),) * 3])


@settings(max_examples=10)
@given(st.lists(st.tuples(st.text("ab", max_size=20), kinds), min_size=1, max_size=4), st.integers(1, 4))
def test_a_batch_answers_as_single_questions_do(
    model: VLM, asked: list[tuple[str, tuple[tuple[int, int], ...]]], batch_size: int
) -> None:
    asker = Asker(model, PROCESSOR, 5, last_answer, resolve_grouping(None))
    questions = [asker.ask(sample(text, "x", *sizes), 0).encoded for text, sizes in asked]
    single = []
    for question in questions:
        (ids,) = model.generate(**PROCESSOR.batchify([question]), max_new_tokens=5).tolist()
        stop = ids.index(PROCESSOR.tokenizer.eos_id) if PROCESSOR.tokenizer.eos_id in ids else len(ids)
        single.append(PROCESSOR.decode(ids[:stop]).strip())
    done: list[int] = []
    assert answer(model, PROCESSOR, questions, max_new_tokens=5, batch_size=batch_size, progress=done.append) == single
    assert done[-1] == len(questions) and done == sorted(done)


def test_no_question_has_no_answer(model: VLM) -> None:
    assert answer(model, PROCESSOR, [], max_new_tokens=5, batch_size=2) == []


def test_an_answer_ends_where_model_or_tokenizer_say(model: VLM) -> None:
    assert end_ids(model, PROCESSOR) == (PROCESSOR.tokenizer.eos_id,)
    other = vlkit.build(CONFIG.replace(decoder=CONFIG.decoder.replace(eos_token_id=(7, 9999))), device="meta")
    assert end_ids(other, PROCESSOR) == (PROCESSOR.tokenizer.eos_id, 7)


def test_every_module_gets_its_mode_back(model: VLM) -> None:
    model.train()
    model.encoder.eval()
    with pytest.raises(KeyError), evaluating(model):
        assert not any(module.training for module in model.modules())
        raise KeyError
    assert model.training and model.decoder.training and not model.encoder.training
    model.eval()
