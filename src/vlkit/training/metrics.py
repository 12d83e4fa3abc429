"""What a run measures: one JSON line per row, and means between the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlkit.errors import CheckpointError
from vlkit.files import write_text

Row = dict[str, Any]


class MetricsFile:
    """Rows in a file of JSON lines, each with its `step`.

    Args:
        path: written by one process only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row at the end."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")

    def rows(self) -> list[Row]:
        """All rows; a last line that was cut off is left out.

        Raises:
            CheckpointError: if another line is no row.
        """
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        return [_row(line, f"{self.path}, line {number}") for number, line in enumerate(lines[:-1], start=1)]

    def keep_until(self, step: int) -> list[Row]:
        """Drop what came after `step`, so that the run can go on from there; the rows that are left."""
        kept = [row for row in self.rows() if row["step"] <= step]
        write_text(self.path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
        return kept


def _row(line: str, origin: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict) or not isinstance(row.get("step"), int):
        raise CheckpointError(
            f"{origin}: {line!r:.80} is no row of metrics",
            rule='each line is a JSON mapping with a "step"',
            remedy="remove the line",
        )
    return row


class Means:
    """Means of what is measured in every step, from one row to the next."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, values: Mapping[str, float]) -> None:
        """Count one step."""
        self.sums = {name: self.sums.get(name, 0.0) + value for name, value in values.items()}
        self.count += 1

    def take(self) -> dict[str, float]:
        """Means of the steps since the last call."""
        means = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means

    def state(self) -> dict[str, Any]:
        """What `restore` takes."""
        return {"sums": self.sums, "count": self.count}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.sums, self.count = dict(state["sums"]), int(state["count"])
