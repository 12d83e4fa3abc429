"""Measuring a model on this machine: time per stage, memory, and how far the hardware is from its limits."""

from typing import TYPE_CHECKING

from vlkit.lazy import lazy_names

if TYPE_CHECKING:
    from vlkit.bench.floor import Floor, Work, measure_floor
    from vlkit.bench.machine import Machine, describe_machine, peak_memory, reset_peak_memory
    from vlkit.bench.models import bench_model, require_memory
    from vlkit.bench.report import Report, StageReport
    from vlkit.bench.requests import Request
    from vlkit.bench.stages import STAGES, measure_stages
    from vlkit.bench.timing import Clock, Timing
    from vlkit.bench.weights import repeated_random

_HOMES = {
    "vlkit.bench.floor": ("Floor", "Work", "measure_floor"),
    "vlkit.bench.machine": ("Machine", "describe_machine", "peak_memory", "reset_peak_memory"),
    "vlkit.bench.models": ("bench_model", "require_memory"),
    "vlkit.bench.report": ("Report", "StageReport"),
    "vlkit.bench.requests": ("Request",),
    "vlkit.bench.stages": ("STAGES", "measure_stages"),
    "vlkit.bench.timing": ("Clock", "Timing"),
    "vlkit.bench.weights": ("repeated_random",),
}

__all__ = [
    "STAGES",
    "Clock",
    "Floor",
    "Machine",
    "Report",
    "Request",
    "StageReport",
    "Timing",
    "Work",
    "bench_model",
    "describe_machine",
    "measure_floor",
    "measure_stages",
    "peak_memory",
    "repeated_random",
    "require_memory",
    "reset_peak_memory",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
