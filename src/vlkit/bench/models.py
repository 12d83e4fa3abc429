"""A model, timed with a request and set against the floor of the machine."""

from __future__ import annotations

import torch

from vlkit.bench.floor import Floor
from vlkit.bench.machine import describe_machine, memory_of, peak_memory, reset_peak_memory
from vlkit.bench.report import Report, StageReport
from vlkit.bench.requests import Request
from vlkit.bench.stages import Progress, measure_stages
from vlkit.bench.timing import Timing
from vlkit.description import Description
from vlkit.description.report import as_bytes
from vlkit.errors import InputError
from vlkit.vlm import VLM


def bench_model(
    model: VLM,
    request: Request,
    *,
    name: str = "model",
    runs: int = 5,
    warmup: int = 2,
    floor: Floor | None = None,
    progress: Progress | None = None,
) -> Report:
    """Time every stage of a request.

    Args:
        model: where it lies and in the type that it has; in evaluation mode.
        request: what is asked.
        name: of the model.
        runs: requests that count.
        warmup: requests before them.
        floor: rates of the machine, as `measure_floor` gives them, that shares are of; None: no shares.
        progress: is told requests done and requests in all.

    Raises:
        ContextLengthError: if the request is longer than the decoder's positions.
    """
    device, dtype, config = model.device, model.dtype, model.config
    about = request.describe(config, dtype)
    reset_peak_memory(device)
    seconds = measure_stages(model, request, runs=runs, warmup=warmup, progress=progress)
    work = request.work(config, dtype)
    first = [sum(run) for run in zip(*(times for stage, times in seconds.items() if stage != "decode"))]
    return Report(
        model=name,
        dtype=str(dtype).removeprefix("torch."),
        request=request,
        prompt_positions=about.context.prefill,
        machine=describe_machine(device),
        floor=floor,
        stages=tuple(StageReport.of(stage, times, work.get(stage), floor) for stage, times in seconds.items()),
        first_token=Timing.of(first),
        tokens_per_second=1 / Timing.of(seconds["decode"]).median,
        weights=sum(parameter.nbytes for parameter in model.parameters()),
        peak=peak_memory(device),
    )


def require_memory(about: Description, device: torch.device) -> None:
    """Refuse a model that cannot fit on a device, before anything is allocated.

    Raises:
        InputError: if its weights alone, or the estimated peak, are larger than the memory.
    """
    needed, there = about.memory.peak or about.memory.weights, memory_of(device)
    if needed is not None and there is not None and needed > there:
        raise InputError(
            f"the model and its request take {as_bytes(needed)} in {about.dtype}",
            rule=f"device {str(device)!r} has {as_bytes(there)}",
            remedy="choose a smaller model, fewer layers, a shorter request, or another device",
        )
