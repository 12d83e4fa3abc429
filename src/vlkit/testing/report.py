"""What came of each law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vlkit.testing.law_error import LawError

Status = Literal["passed", "failed", "skipped", "noted"]


@dataclass(frozen=True)
class Outcome:
    """What came of one law.

    Args:
        law: its name.
        rule: the law in one sentence.
        status: "noted" if it holds, but with a remark: what was not promised, for instance, does not work.
        seconds: how long it took.
        reason: why it was skipped, or what was noted.
        error: the broken law.
    """

    law: str
    rule: str
    status: Status
    seconds: float = 0.0
    reason: str | None = None
    error: LawError | None = None


@dataclass(frozen=True)
class Report:
    """What came of all laws of a part.

    Args:
        part: which part.
        outcomes: one for each law.
    """

    part: str
    outcomes: tuple[Outcome, ...]

    def of(self, status: Status) -> tuple[Outcome, ...]:
        """Outcomes of one status."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == status)

    @property
    def ok(self) -> bool:
        """Whether no law is broken."""
        return not self.of("failed")

    def raise_if_broken(self) -> None:
        """Raise the error of the first broken law, which then names the others too.

        Raises:
            LawError: if a law is broken.
        """
        errors = [outcome.error for outcome in self.outcomes if outcome.error is not None]
        if not errors:
            return
        first = errors[0]
        if len(errors) > 1:
            first.add_note(f"also broken: {', '.join(error.law for error in errors[1:])}")
        raise first

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, for JSON."""
        return {"part": self.part, "ok": self.ok, "laws": [_plain(outcome) for outcome in self.outcomes]}

    def __str__(self) -> str:
        width = max((len(outcome.law) for outcome in self.outcomes), default=0)
        lines = [
            f"  {o.law:{width}}  {o.status:7}  {o.seconds:6.2f} s  {o.error.problem if o.error else o.reason or ''}"
            for o in self.outcomes
        ]
        return "\n".join([self.part, *(line.rstrip() for line in lines), f"  {self.summary}"])

    @property
    def summary(self) -> str:
        """Numbers of laws by their outcome."""
        names = {"passed": "passed", "failed": "broken", "skipped": "skipped", "noted": "noted"}
        counts = {name: sum(outcome.status == status for outcome in self.outcomes) for status, name in names.items()}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _plain(outcome: Outcome) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "law": outcome.law,
        "status": outcome.status,
        "seconds": round(outcome.seconds, 3),
        "rule": outcome.rule,
    }
    if outcome.reason is not None:
        entry["reason"] = outcome.reason
    if outcome.error is not None:
        error = outcome.error
        entry |= {"problem": error.problem, "likely": error.likely, "remedy": error.remedy}
    return entry
