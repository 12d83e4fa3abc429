"""The measures by name: which samples they count for, and what one adds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.test_boxes import objects
from vlkit.errors import InputError
from vlkit.evaluation import METRICS, Metric, Ratio, TextNormalization
from vlkit.evaluation.metrics import resolve_metrics
from vlkit.processing import GroundedObject, render

SAME = TextNormalization()
TEXT = ("exact_match", "anls", "character_error_rate")
BOX = ("box_iou", "box_accuracy", "box_precision")


def said(boxes: str, name: str = "fox") -> str:
    return f"<|ref|>{name}<|/ref|><|det|>{boxes}<|/det|>"


def added(name: str, answer: str, *references: str, same: TextNormalization = SAME) -> Ratio:
    return METRICS[name].measure(answer, references, same)


@given(st.text(max_size=12) | objects.map(render), st.lists(st.text(max_size=12), min_size=1, max_size=2))
def test_text_measures_are_bounded(answer: str, references: list[str]) -> None:
    assert 0 <= added("exact_match", answer, *references).part <= added("anls", answer, *references).part <= 1
    errors = added("character_error_rate", answer, *references)
    assert errors.part >= 0 and errors.whole >= 1


@given(st.text(max_size=12) | objects.map(render), objects.filter(bool).map(render))
def test_box_measures_are_bounded(answer: str, reference: str) -> None:
    for name in BOX:
        part, whole = added(name, answer, reference)
        assert 0 <= part <= whole


@given(objects.filter(bool))
def test_what_is_right_gets_all(items: list[GroundedObject]) -> None:
    text = render(items)
    for name in BOX:
        part, whole = added(name, text, text)
        assert part == whole > 0


def test_each_measure_is_for_its_kind_of_sample() -> None:
    assert {name for name, metric in METRICS.items() if metric.applies(["a boat"])} == set(TEXT)
    assert {name for name, metric in METRICS.items() if metric.applies([said("[[1, 2, 3, 4]]")])} == set(BOX)


def test_known_values() -> None:
    assert added("exact_match", " A  boat ", "A boat") == (1, 1)
    assert added("exact_match", "a boat", "A boat") == (0, 1)
    assert added("exact_match", "a boat", "A boat", same=TextNormalization(ignore_case=True)) == (1, 1)
    assert added("anls", "a boat", "A BOAT") == (1, 1)
    assert added("character_error_rate", "A bot", "A boat", "ship") == (1, 6)
    right = said("[[0, 0, 100, 100], [200, 0, 300, 100]]")
    answer = said("[[0, 0, 100, 60], [200, 0, 300, 40], [500, 500, 600, 600]]")
    assert added("box_iou", answer, right) == pytest.approx((1.0, 2))
    assert added("box_accuracy", answer, right) == (1, 2)
    assert added("box_precision", answer, right) == (1, 3)


def test_an_answer_without_boxes_misses_all_and_has_no_precision() -> None:
    for answer in ("I see a fox", said("[[9, 9, 1, 1]]")):
        assert added("box_accuracy", answer, said("[[1, 2, 3, 4]]")) == (0, 1)
        assert added("box_precision", answer, said("[[1, 2, 3, 4]]")) == (0, 0)


def test_names_are_compared_in_the_normal_form() -> None:
    right, answer = said("[[1, 2, 3, 4]]", "Fox"), said("[[1, 2, 3, 4]]", " fox ")
    assert added("box_accuracy", answer, right) == (0, 1)
    assert added("box_accuracy", answer, right, same=TextNormalization(ignore_case=True)) == (1, 1)


def test_of_several_references_the_nearest_counts() -> None:
    answer = said("[[0, 0, 10, 10]]")
    assert added("box_iou", answer, said("[[50, 50, 60, 60]]"), said("[[0, 0, 10, 10]]")) == (1, 1)


def test_names_are_resolved() -> None:
    own = Metric("length", "characters", lambda answer, references, same: Ratio(len(answer), 1))
    assert [metric.name for metric in resolve_metrics(["anls", own])] == ["anls", "length"]
    assert len(resolve_metrics(None)) == len(METRICS)
    with pytest.raises(InputError, match="did you mean 'exact_match'"):
        resolve_metrics(["exact_mach"])
    for wrong in ([], ["anls", "anls"]):
        with pytest.raises(InputError, match="at least one measure"):
            resolve_metrics(wrong)
