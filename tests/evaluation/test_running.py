"""A whole evaluation, of a model whose answers are forced, so that every number is known."""

from typing import Any

import pytest

from tests.evaluation.scripted import PROCESSOR, Listed, Scripted, sample
from vlkit.errors import InputError
from vlkit.evaluation import Metric, Ratio, TextNormalization, evaluate
from vlkit.training.sample import Sample, SampleError

BOX = "<|ref|>cat<|/ref|><|det|>[[{}, 0, 100, 100]]<|/det|>"
ANSWERS = {"one": "RED", "two": "BLEU", "three": "", "four": BOX.format(0), "five": BOX.format(40) + BOX.format(0)}
SAMPLES = (
    sample("Read one", "RED", (60, 60), origin="a"),
    sample("Read two", "BLUE", (220, 56), origin="b"),
    sample("Read three", "GREEN", (220, 56), (50, 50), origin="c"),
    sample("Find four", BOX.format(50), (60, 60), origin="d"),
    sample("Find five", BOX.format(0), (60, 60), origin="e"),
    sample("Read one", "RED", origin="f"),
)


def run(*samples: Any, **settings: Any) -> Any:
    return evaluate(Scripted(ANSWERS), PROCESSOR, Listed(samples or SAMPLES), **settings)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_numbers_are_those_of_the_answers(batch_size: int) -> None:
    evaluation = run(batch_size=batch_size)
    assert [result.answer for result in evaluation.results] == [*ANSWERS.values(), "RED"]
    assert [result.origin for result in evaluation.results] == list("abcdef")
    scores = evaluation.scores
    assert {name: score.value for name, score in scores.items()} == {
        "exact_match": 2 / 4,
        "anls": (1 + 0.5 + 0 + 1) / 4,
        "character_error_rate": (0 + 2 + 5 + 0) / (3 + 4 + 5 + 3),
        "box_iou": (0.5 + 1.0) / 2,
        "box_accuracy": 2 / 2,
        "box_precision": 2 / 3,
    }
    assert [score.samples for score in scores.values()] == [4, 4, 4, 2, 2, 2]


def test_groups_by_tiles() -> None:
    groups = run(group_by="tiles", metrics=["exact_match"]).groups
    assert {name: (score["exact_match"].value, score["exact_match"].samples) for name, score in groups.items()} == {
        "2x2": (1.0, 1),
        "1x4": (0.0, 1),
        "1x4 + 1x1": (0.0, 1),
        "no picture": (1.0, 1),
    }


def test_what_counts_as_the_same_is_a_setting_and_recorded() -> None:
    shouted = sample("Read one", "red")
    assert run(shouted).scores["exact_match"].value == 0
    relaxed = run(shouted, normalization=TextNormalization(ignore_case=True))
    assert relaxed.scores["exact_match"].value == 1
    assert relaxed.to_dict()["normalization"]["ignore_case"] is True


def test_references_may_be_several() -> None:
    right = {"a": ["RED"], "b": ["BLUE", "BLEU"]}
    evaluation = run(*SAMPLES[:2], references=lambda sample: right[sample.origin])
    assert evaluation.scores["exact_match"].value == 1
    assert evaluation.results[1].references == ("BLUE", "BLEU")


def test_own_measures() -> None:
    length = Metric("length", "characters", lambda answer, references, same: Ratio(len(answer), 1))
    assert run(metrics=[length], limit=2).scores["length"].value == 3.5


def test_batches_are_full_and_the_model_evaluates() -> None:
    model = Scripted(ANSWERS).train()
    told: list[tuple[int, int]] = []
    evaluate(model, PROCESSOR, Listed(SAMPLES), batch_size=4, progress=lambda *pair: told.append(pair))
    assert model.batches == [4, 2]
    assert model.modes == [False, False]
    assert model.training
    assert told == [(4, 6), (6, 6)]


def test_answers_are_cut_at_max_new_tokens() -> None:
    assert run(SAMPLES[0], max_new_tokens=2).results[0].answer == "RE"


def test_a_source_without_end_needs_a_limit() -> None:
    endless = Listed(SAMPLES, endless=True)
    with pytest.raises(InputError, match="no end"):
        evaluate(Scripted(ANSWERS), PROCESSOR, endless)
    evaluation = evaluate(Scripted(ANSWERS), PROCESSOR, endless, limit=9, batch_size=1)
    assert [result.index for result in evaluation.results] == list(range(9))


def test_bad_samples_are_refused_or_listed() -> None:
    unread, unasked = SampleError("x, line 2", "torn"), Sample((), (), "x, line 3")
    with pytest.raises(InputError, match=r"^x, line 2: torn"):
        run(SAMPLES[0], unread)
    with pytest.raises(InputError, match=r"^x, line 3: the conversation does not end"):
        run(unasked)
    evaluation = run(SAMPLES[0], unread, unasked, SAMPLES[1], bad_samples="skip")
    assert [result.index for result in evaluation.results] == [0, 3]
    assert [(skipped.index, skipped.origin) for skipped in evaluation.skipped] == [(1, "x, line 2"), (2, "x, line 3")]
    assert evaluation.scores["exact_match"].samples == 2
    nothing = run(unread, bad_samples="skip")
    assert nothing.results == () and nothing.scores["exact_match"].value is None


@pytest.mark.parametrize(
    "settings",
    [{"batch_size": 0}, {"limit": -1}, {"max_new_tokens": True}, {"bad_samples": "drop"}, {"metrics": ["bleu"]}],
)
def test_settings_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        run(**settings)
