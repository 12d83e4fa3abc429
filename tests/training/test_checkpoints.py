"""Checkpoints: whole or not there, the newest kept, tensors bit for bit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from vlkit.errors import CheckpointError
from vlkit.training.checkpoints import Checkpoints, read_state, read_tensors, write_tensors
from vlkit.training.whole_folder import write_whole


def fill(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "a.txt").write_text(folder.parent.name)


def test_the_newest_stay(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    assert checkpoints.latest() is None
    for step in (5, 10, 15):
        checkpoints.write(step, {"note": step}, fill)
    assert checkpoints.steps() == [10, 15]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000010", "step-000015"]
    latest = checkpoints.latest()
    assert latest is not None
    assert read_state(latest) == {"format": 1, "step": 15, "note": 15}


def test_one_that_fails_leaves_nothing_and_the_others_alone(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.write(1, {}, fill)

    def broken(folder: Path) -> None:
        fill(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match="No space left"):
        checkpoints.write(2, {}, broken)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]


def test_what_a_killed_process_left_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.write(1, {}, fill)
    (tmp_path / ".step-000002.0a1b2c3d.tmp" / "inner").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    checkpoints.clean()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes", "step-000001"]
    assert checkpoints.steps() == [1]


def other(folder: Path) -> None:
    (folder / "b.txt").write_text("b")


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "model", fill)
    write_whole(tmp_path / "model", other)
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["b.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("content", [{}, {"format": 2, "step": 1}, {"format": 1, "step": "1"}])
def test_a_state_of_another_format_is_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / "state.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="format"):
        read_state(tmp_path)


def test_tensors_come_back_bit_for_bit(tmp_path: Path) -> None:
    tensors = {"a.step": torch.tensor(3.0), "a.exp_avg": torch.randn(3, 2), "b": torch.tensor([1, 2])}
    write_tensors(tensors, tmp_path / "optimizer")
    found = read_tensors(tmp_path / "optimizer")
    assert found.keys() == tensors.keys()
    assert all(
        torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in tensors.items()
    )
    write_tensors({}, tmp_path / "none")
    assert read_tensors(tmp_path / "none") == {}
