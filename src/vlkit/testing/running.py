"""Putting a part to the test of each law, every law in its own small world."""

from __future__ import annotations

import time
import traceback
from pathlib import Path

from vlkit.testing.law import Broken, Law, Skipped, told
from vlkit.testing.law_error import LawError
from vlkit.testing.report import Outcome, Report, Status
from vlkit.testing.state import isolated
from vlkit.testing.subject import Subject

HERE = Path(__file__).parent


def run(subject: Subject) -> Report:
    """Outcomes of all laws of the subject's kind; after a broken first law the rest is skipped."""
    outcomes: list[Outcome] = []
    broken: str | None = None
    for law in subject.laws:
        if broken is not None:
            outcomes.append(Outcome(law.name, law.rule, "skipped", reason=f"says nothing while {broken!r} is broken"))
            continue
        outcomes.append(run_law(subject, law))
        if law.first and outcomes[-1].status == "failed":
            broken = law.name
    return Report(subject.name, tuple(outcomes))


def run_law(subject: Subject, law: Law) -> Outcome:
    """Outcome of one law."""
    start, reason, error = time.perf_counter(), None, None
    status: Status = "passed"
    try:
        reason = _reason_to_skip(subject, law)
        if reason is not None:
            raise Skipped(reason)
        with isolated():
            reason = law.test(subject)
        if reason is not None:
            status = "noted"
    except Skipped as skipped:
        reason, status = str(skipped), "skipped"
    except Broken as broken:
        error, status = _broken(subject, law, broken), "failed"
        error.__cause__ = broken.__cause__
    except Exception as crash:
        error, status = _crashed(subject, law, crash), "failed"
        error.__cause__ = crash
    return Outcome(law.name, law.rule, status, time.perf_counter() - start, reason, error)


def _reason_to_skip(subject: Subject, law: Law) -> str | None:
    if law.name in subject.skip:
        return "left out by the caller"
    if law.weights and subject.too_large:
        return f"too large: {subject.parameters:,} parameters, at most {subject.max_parameters:,} are given numbers"
    return None


def _broken(subject: Subject, law: Law, broken: Broken) -> LawError:
    return LawError(subject.name, law.name, broken.problem, rule=law.rule, likely=broken.likely, remedy=broken.remedy)


def _crashed(subject: Subject, law: Law, crash: Exception) -> LawError:
    """Error for a part that raised one of its own, with the line that did."""
    frames = [frame for frame in traceback.extract_tb(crash.__traceback__) if Path(frame.filename).parent != HERE]
    outside = [frame for frame in frames if "site-packages" not in frame.filename and frame.filename[0] != "<"]
    place = f" ({Path(outside[-1].filename).name}:{outside[-1].lineno})" if outside else ""
    return LawError(
        subject.name, law.name, f"{type(crash).__name__}: {told(crash, 300)}{place}", rule=law.rule, likely=law.crash
    )
