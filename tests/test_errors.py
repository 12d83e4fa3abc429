"""Errors say the value, the rule and the remedy, and share one base."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlkit import errors
from vlkit.errors import VlkitError, did_you_mean

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_a_vlkit_error_and_a_value_error(kind: type[VlkitError]) -> None:
    assert issubclass(kind, VlkitError) and issubclass(kind, ValueError)


def test_message_has_problem_rule_and_remedy_and_keeps_them_apart() -> None:
    error = VlkitError("depth 0", rule="at least 1", remedy="raise depth")
    assert str(error) == "depth 0\n  rule:   at least 1\n  remedy: raise depth"
    assert (error.problem, error.rule, error.remedy) == ("depth 0", "at least 1", "raise depth")


def test_message_leaves_out_what_is_not_given() -> None:
    assert str(VlkitError("depth 0")) == "depth 0"
    assert str(VlkitError("depth 0", remedy="raise depth")) == "depth 0\n  remedy: raise depth"


@given(st.text("abcdefghij", min_size=5, max_size=12), st.data())
def test_one_wrong_letter_still_finds_the_name(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name) - 1))
    typo = name[:at] + "z" + name[at + 1 :]
    assert did_you_mean(typo, [name, "XXXX", "YYYYYY"]) == f"did you mean {name!r}?"


def test_without_a_near_name_all_are_listed_in_order() -> None:
    assert did_you_mean("zzz", ["linear", "identity", "linear"]) == "known: 'identity', 'linear'"
    assert did_you_mean("zzz", []) == "none is known"
