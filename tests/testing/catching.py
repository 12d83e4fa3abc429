"""One law on one part, and what it must say of a wrong one."""

from typing import Any

from vlkit.testing.checks import subject_of
from vlkit.testing.report import Outcome
from vlkit.testing.running import run_law


def outcome(part: Any, law: str, **options: Any) -> Outcome:
    """What came of one law."""
    subject = subject_of(part, **options)
    return run_law(subject, next(each for each in subject.laws if each.name == law))


def holds(part: Any, law: str, **options: Any) -> None:
    """The part keeps the law."""
    found = outcome(part, law, **options)
    assert found.status == "passed", found


def caught(part: Any, law: str, *words: str, **options: Any) -> None:
    """The part breaks the law, and the message holds these words and what to do."""
    error = outcome(part, law, **options).error
    assert error is not None, f"{law} was not broken"
    assert error.law == law and error.rule
    for word in words:
        assert word in str(error), str(error)
