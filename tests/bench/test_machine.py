"""What is said about a machine, and peaks of memory."""

import platform
from pathlib import Path

import pytest
import torch

from vlkit.bench import describe_machine, peak_memory, reset_peak_memory
from vlkit.bench.machine import memory_of

CPU = torch.device("cpu")


def test_the_machine_is_this_one() -> None:
    machine = describe_machine(CPU)
    assert (machine.torch, machine.python) == (torch.__version__, platform.python_version())
    assert machine.threads == torch.get_num_threads() and machine.cores >= 1
    assert machine.device is None and machine.processor
    assert torch.__version__ in str(machine) and f"{machine.cores} cores" in str(machine)


def test_memory_of_the_machine_is_known_where_the_system_tells() -> None:
    assert describe_machine().memory == memory_of(CPU)
    assert (memory_of(CPU) or 2**30) >= 2**28


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="other systems keep no such mark")
def test_a_peak_is_seen_after_it_is_over_until_it_is_forgotten() -> None:
    def peak() -> int:
        found = peak_memory(CPU)["process"]
        assert found is not None
        return found

    reset_peak_memory(CPU)
    before = peak()
    del_me = torch.ones(2**26, dtype=torch.uint8)
    del del_me
    after = peak()
    assert after >= before + 2**25
    reset_peak_memory(CPU)
    assert peak() < after
    assert peak_memory(CPU)["device"] is None
