"""Answers that are there already: the same numbers as of a model that gives them."""

import pytest

from tests.evaluation.scripted import PROCESSOR, Listed, Scripted
from tests.evaluation.test_running import ANSWERS, SAMPLES
from vlkit.errors import InputError
from vlkit.evaluation import evaluate, measure_answers
from vlkit.training.sample import Sample

SOURCE = Listed(SAMPLES)


def test_numbers_are_those_of_a_model_with_these_answers() -> None:
    by_model = evaluate(Scripted(ANSWERS), PROCESSOR, SOURCE)
    given = measure_answers([*ANSWERS.values(), "RED "], SOURCE)
    assert given.scores == by_model.scores
    assert given.results == by_model.results
    assert given.normalization == by_model.normalization


def test_options_are_those_of_evaluate() -> None:
    given = measure_answers(
        ["BLEU"],
        Listed(SAMPLES, endless=True),
        metrics=["anls"],
        references=lambda sample: ["BLEU"],
        group_by=lambda sample, tilings: "a",
    )
    assert {name: score["anls"].value for name, score in given.groups.items()} == {"a": 1.0}


def test_answers_and_samples_fit() -> None:
    with pytest.raises(InputError, match="7 answers to 6 samples"):
        measure_answers(["x"] * 7, SOURCE)
    with pytest.raises(InputError, match="one answer for each sample"):
        measure_answers("x", SOURCE)
    with pytest.raises(InputError, match=r"^x, line 3: the conversation does not end with an answer"):
        measure_answers(["x"], Listed([Sample((), (), "x, line 3")]))
