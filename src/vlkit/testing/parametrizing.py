"""Each law as a test of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vlkit.testing.checks import subject_of
from vlkit.testing.law import Law
from vlkit.testing.running import run_law
from vlkit.testing.subject import Subject

if TYPE_CHECKING:
    import pytest


class LawTest:
    """One law of one part, to be called by a test.

    Args:
        subject: the part.
        law: the law.
    """

    def __init__(self, subject: Subject, law: Law) -> None:
        self.subject, self.law = subject, law

    def __call__(self) -> None:
        """Put the part to the test; pytest shows a law that cannot be tested as skipped.

        Raises:
            LawError: if the law is broken.
        """
        import pytest

        outcome = run_law(self.subject, self.law)
        if outcome.error is not None:
            raise outcome.error
        if outcome.status == "skipped":
            pytest.skip(f"{self.law.name}: {outcome.reason}")

    def __repr__(self) -> str:
        return f"<law {self.law.name!r} of {self.subject.name}>"


def laws(part: Any, **options: Any) -> pytest.MarkDecorator:
    """Decorator that runs a test once for each law, under the law's name; arguments as those of `check_part`.

    The test takes the argument `law` and calls it:

        @laws(GatedConfig())
        def test_gated(law):
            law()
    """
    import pytest

    subject = subject_of(part, **options)
    return pytest.mark.parametrize("law", [pytest.param(LawTest(subject, law), id=law.name) for law in subject.laws])
