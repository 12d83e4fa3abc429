"""Rows of metrics: appended, cut off where a run goes on, and means that survive a stop."""

from pathlib import Path

import pytest

from vlkit.errors import CheckpointError
from vlkit.training.metrics import Means, MetricsFile


def test_rows_are_read_back_and_a_line_that_was_cut_off_is_not(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    assert file.rows() == []
    for step in (1, 2, 3):
        file.append({"step": step, "loss": 1 / 3 / step})
    with file.path.open("a") as opened:
        opened.write('{"step": 4, "lo')
    assert [row["loss"] for row in file.rows()] == [1 / 3, 1 / 6, 1 / 9]


def test_rows_after_a_step_are_dropped(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    for step in (1, 2, 3):
        file.append({"step": step})
    assert file.keep_until(2) == [{"step": 1}, {"step": 2}] == file.rows()
    file.append({"step": 3, "again": True})
    assert file.rows()[-1] == {"step": 3, "again": True}


def test_a_line_that_is_no_row_is_refused_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n["step"]\n')
    with pytest.raises(CheckpointError, match="line 2"):
        MetricsFile(path).rows()


def test_means_are_those_of_the_steps_since_the_last_row() -> None:
    means = Means()
    means.add({"loss": 1.0})
    other = Means()
    other.restore(means.state())
    for each in (means, other):
        each.add({"loss": 2.0})
        assert each.take() == {"loss": 1.5}
        each.add({"loss": 5.0})
        assert each.take() == {"loss": 5.0}
