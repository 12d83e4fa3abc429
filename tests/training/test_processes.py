"""Other processes: one that is killed goes on to the same numbers, and two learn what one learns."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import vlkit
from tests.training.runs import measured, run

ROOT = Path(__file__).parents[2]


def script(
    folder: Path, *, name: str = "runs", die_at: int = 0, rank: int | None = None, port: int = 0, **fields: Any
) -> Any:
    """The run of `runs.py`, or of a script like it, in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    if rank is not None:
        environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", f"tests.training.{name}", str(folder), str(die_at), json.dumps(fields)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def rows_of(process: Any) -> list[dict[str, Any]]:
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return json.loads(out.splitlines()[-1])


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def test_a_process_that_is_killed_in_a_checkpoint_goes_on_to_the_same_numbers_bit_for_bit(tmp_path: Path) -> None:
    whole = measured(run(tmp_path / "whole").history)
    killed = script(tmp_path / "killed", die_at=8)
    assert killed.wait(timeout=300) == -signal.SIGKILL
    killed.communicate()
    left = sorted(path.name for path in (tmp_path / "killed" / "checkpoints").iterdir())
    assert left[0].startswith(".step-000008.") and left[1:] == ["step-000004"]
    assert rows_of(script(tmp_path / "killed")) == whole
    left = sorted(path.name for path in (tmp_path / "killed" / "checkpoints").iterdir())
    assert left == ["step-000008", "step-000012"]


@pytest.mark.parametrize("name", ["runs", "sharded_runs"], ids=["copies", "pieces"])
def test_two_processes_learn_what_one_learns(tmp_path: Path, name: str) -> None:
    fields: dict[str, Any] = {"batching": {"batch_size": 2}, "accumulation": 2}
    port = free_port()
    both = [script(tmp_path / "two", name=name, rank=rank, port=port, **fields) for rank in (0, 1)]
    first = rows_of(both[0])
    both[1].communicate(timeout=300)
    alone = measured(run(tmp_path / "one").history)
    assert [row["step"] for row in first] == [row["step"] for row in alone]
    for one, two in zip(alone, first, strict=True):
        assert [two[key] for key in ("tokens", "samples", "lr")] == [one[key] for key in ("tokens", "samples", "lr")]
        for key in ("loss", "aux_loss", "gradient_norm", "eval_loss", "expert_entropy"):
            if key in one:
                assert two[key] == pytest.approx(one[key], rel=1e-4), key
    ours, theirs = (vlkit.from_pretrained(tmp_path / each / "model").state_dict() for each in ("one", "two"))
    for key, tensor in ours.items():
        torch.testing.assert_close(theirs[key], tensor, rtol=1e-3, atol=1e-4, msg=key)
