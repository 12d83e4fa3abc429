"""The machine that numbers were measured on, and how much memory a process took."""

from __future__ import annotations

import contextlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2", "bf16", "sve", "asimd")
"""Instruction sets that decide how fast matrices are multiplied, as Linux names them."""


@dataclass(frozen=True)
class Machine:
    """What a number depends on, beside the code.

    Args:
        processor: its name.
        instructions: instruction sets for matrices that it has.
        cores: how many this process may use.
        threads: how many torch uses.
        memory: bytes; None if unknown.
        device: name of the accelerator; None: the processor computes.
        system: operating system.
        python: version.
        torch: version.
        load: processes that wanted to run in the minute before; None if unknown.
    """

    processor: str
    instructions: tuple[str, ...]
    cores: int
    threads: int
    memory: int | None
    device: str | None
    system: str
    python: str
    torch: str
    load: float | None

    def __str__(self) -> str:
        sets = f" ({', '.join(self.instructions)})" if self.instructions else ""
        memory = f", {self.memory / 2**30:.0f} GiB" if self.memory else ""
        device = f", {self.device}" if self.device else ""
        return (
            f"{self.processor}{sets}, {self.cores} cores, {self.threads} threads{memory}{device}; {self.system}, "
            f"Python {self.python}, torch {self.torch}"
        )


def describe_machine(device: torch.device | None = None) -> Machine:
    """This machine, and the accelerator if `device` is one."""
    about = _cpuinfo()
    flags = set(about.get("flags", about.get("Features", "")).split())
    return Machine(
        processor=about.get("model name") or platform.processor() or platform.machine(),
        instructions=tuple(name for name in INSTRUCTIONS if name in flags),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        memory=memory_of(torch.device("cpu")),
        device=torch.cuda.get_device_name(device) if device is not None and device.type == "cuda" else None,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        torch=torch.__version__,
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    )


def reset_peak_memory(device: torch.device | None = None) -> None:
    """Forget earlier peaks, so that `peak_memory` tells of what follows; of the process where the system offers it."""
    if device is not None and device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device | None = None) -> dict[str, int | None]:
    """Most bytes so far, or since `reset_peak_memory`: of this process in main memory, and on the accelerator.

    The process's own mark is read, since `ru_maxrss` begins with that of the process which started it; None outside
    Linux, and where there is no accelerator.
    """
    status = _text("/proc/self/status")
    process = int(status.split("VmHWM:")[1].split()[0]) * 1024 if "VmHWM:" in status else None
    on_gpu = device is not None and device.type == "cuda"
    return {"process": process, "device": torch.cuda.max_memory_allocated(device) if on_gpu else None}


def _cpuinfo() -> dict[str, str]:
    """First processor of /proc/cpuinfo; empty elsewhere than on Linux."""
    lines = _text("/proc/cpuinfo").partition("\n\n")[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def memory_of(device: torch.device) -> int | None:
    """Bytes of a device, main memory for the processor; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if not hasattr(os, "sysconf") or not {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= set(os.sysconf_names):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace") if Path(path).is_file() else ""
