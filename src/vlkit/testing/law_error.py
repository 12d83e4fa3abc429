"""The error that a broken law raises."""

from __future__ import annotations

from vlkit.errors import VlkitError


class LawError(VlkitError, AssertionError):
    """A part breaks a law of its kind.

    Args:
        part: which part.
        law: name of the law.
        problem: what was seen, with the values in it.
        rule: the law in one sentence.
        likely: the mistake that most often causes it.
        remedy: what the author can do about it.
    """

    def __init__(
        self, part: str, law: str, problem: str, *, rule: str, likely: str | None = None, remedy: str | None = None
    ) -> None:
        seen = f"{part} breaks the law {law!r}: {problem}"
        super().__init__(f"{seen}\n  likely: {likely}" if likely else seen, rule=rule, remedy=remedy)
        self.part, self.law, self.problem, self.likely = part, law, problem, likely
