"""What was measured, next to what the hardware allows; prints as a table and goes through JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import TypeAdapter, ValidationError

from vlkit.bench.floor import Floor, Work
from vlkit.bench.machine import Machine
from vlkit.bench.requests import Request
from vlkit.bench.timing import Timing, as_time
from vlkit.description.report import as_bytes
from vlkit.errors import InputError

HEADINGS = ("stage", "median", "quartiles", "floor", "share of floor", "bound by")


@dataclass(frozen=True)
class StageReport:
    """One stage.

    Args:
        name: its name.
        seconds: how long it takes; for decoding per token.
        flops: operations in matrix products; None if unknown.
        nbytes: bytes that it reads at least; None if unknown.
        floor_seconds: least time for both; None if neither is known.
        bound: which of the two takes longer.
        share: `floor_seconds` over the median.
    """

    name: str
    seconds: Timing
    flops: int | None
    nbytes: int | None
    floor_seconds: float | None
    bound: Literal["compute", "memory"] | None
    share: float | None

    @classmethod
    def of(cls, name: str, seconds: Sequence[float], work: Work | None, floor: Floor | None) -> Self:
        """Report of a stage that was run several times."""
        timing, work = Timing.of(seconds), work or Work(None, None)
        least, bound = (None, None) if floor is None else (floor.seconds(work), floor.bound(work))
        share = None if least is None else least / timing.median
        return cls(name, timing, work.flops, work.nbytes, least, bound, share)

    @property
    def cells(self) -> tuple[str, ...]:
        """Its line of the table, under `HEADINGS`."""
        return (
            self.name,
            as_time(self.seconds.median),
            f"{as_time(self.seconds.lower)} - {as_time(self.seconds.upper)}",
            "" if self.floor_seconds is None else as_time(self.floor_seconds),
            "" if self.share is None else f"{self.share:.0%}",
            self.bound or "",
        )


@dataclass(frozen=True)
class Report:
    """A model on a machine.

    Args:
        model: its name.
        dtype: type of weights, activations and cache.
        request: what was asked.
        prompt_positions: positions of pictures and text together.
        machine: where.
        floor: the rates that shares are of; None if they were not measured.
        stages: in their order.
        first_token: from the files to the first token.
        tokens_per_second: further tokens, by the median.
        weights: bytes of all parameters.
        peak: most bytes: of the process, and on the accelerator; None if unknown.
    """

    model: str
    dtype: str
    request: Request
    prompt_positions: int
    machine: Machine
    floor: Floor | None
    stages: tuple[StageReport, ...]
    first_token: Timing
    tokens_per_second: float
    weights: int
    peak: Mapping[str, int | None]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return TypeAdapter(type(self)).dump_python(self, mode="json")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The report that `to_dict` gave.

        Raises:
            InputError: if it is none.
        """
        try:
            return TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(
                f"no report of a bench: {place}: {first['msg']}", remedy="pass what `vlkit bench --json` printed"
            ) from None

    @property
    def summary(self) -> tuple[tuple[str, str], ...]:
        """What stands below the table: names and values."""
        peak = [f"{as_bytes(value)} {where}" for where, value in self.peak.items() if value is not None]
        floor = [("floor", str(self.floor))] if self.floor else []
        return (
            ("first token", str(self.first_token)),
            ("further tokens", f"{self.tokens_per_second:.1f} per second"),
            ("weights", as_bytes(self.weights)),
            ("peak memory", ", ".join(peak) or "unknown"),
            *floor,
            ("machine", str(self.machine)),
        )

    def __str__(self) -> str:
        rows = [HEADINGS, *(stage.cells for stage in self.stages)]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = [
            "  ".join(cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(places))
            for places in (list(zip(row, widths)) for row in rows)
        ]
        return "\n".join([*lines, "", *(f"{name}: {value}" for name, value in self.summary)])
