"""The frame of all benchmarks: sides in turn, each run in a process of its own, medians with their spread.

A benchmark has cases, a case has sides: vlkit and its peers. One run goes through the rounds; each round first measures
the floor, the machine's own rates, then every side of every case. Whatever drifts meanwhile meets all sides alike, and
no side finds memory or compiled code of another. A process warms up until it is steady, since this is about long-lived
processes; `benchmarks.loading` is about fresh ones.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import torch

from vlkit.bench import Clock, Floor, Timing, Work, describe_machine, measure_floor, peak_memory

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
FLOOR = "floor"
STARTED = "VLKIT_BENCHMARK_STARTED"
"""Environment variable with the time at which a side's process was started."""
WARMUP = 20
"""Most repetitions of a step before those that count."""
BUDGET = 40.0
"""Seconds for warming up, and for repeating, in one process."""
TINY_FLOOR: dict[str, Any] = {"read_bytes": 2**20, "products": ((64, 64, 64),), "runs": 1}
"""A floor that takes no time and means nothing."""


@dataclass(frozen=True)
class Options:
    """How a benchmark is run.

    Args:
        device: where the models compute.
        dry: toy sizes in this process, one round: shows that it runs, and its numbers mean nothing.
        runs: most repetitions of a measured step in one process.
        folder: where large files may be written; None: where the system puts temporary ones.
    """

    device: torch.device
    dry: bool = False
    runs: int = 5
    folder: Path | None = None

    @property
    def clock(self) -> Clock:
        """Clock of the device."""
        return Clock(self.device)

    def steady(self, work: Callable[[], object]) -> list[float]:
        """Seconds of up to `runs` repetitions of the same work, once it is steady.

        It is steady when two repetitions in a row take no more than a tenth longer than the shortest so far; that is
        waited for up to `WARMUP` repetitions or `BUDGET` seconds. The repetitions that count, two at least, end after
        as many seconds.
        """
        clock, warm, found = self.clock, list[float](), list[float]()
        while not self.dry and len(warm) < WARMUP and sum(warm) < BUDGET and not is_steady(warm):
            warm.append(clock.time(work)[1])
        while len(found) < self.runs and (len(found) < 2 or sum(found) < BUDGET):
            found.append(clock.time(work)[1])
        return found


def is_steady(seconds: list[float]) -> bool:
    """Whether the last two of three or more take no more than a tenth longer than the shortest."""
    return len(seconds) > 2 and max(seconds[-2:]) < 1.1 * min(seconds)


@dataclass
class Measured:
    """What one process of a side gives.

    Args:
        seconds: names of measures to the seconds of each repetition.
        numbers: anything else, such as bytes.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)


Side = Callable[[Options], Measured]


@dataclass(frozen=True)
class Case:
    """What is compared.

    Args:
        name: short name.
        about: what it is, in a sentence.
        sides: by name, the first one is vlkit.
        peers: sides that do the same work, which the first is compared with.
        work: measures to what they take at least; those that are not named have no floor.
        facts: what the reader should know, such as bytes and operations.
    """

    name: str
    about: str
    sides: Mapping[str, Side]
    peers: Sequence[str] = ()
    work: Mapping[str, Work] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def main(
    module: str, make_cases: Callable[[Options], Iterable[Case]], about: str | None, arguments: list[str] | None = None
) -> dict[str, Any]:
    """Command line of a benchmark.

    Args:
        module: name of its module in this folder.
        make_cases: gives its cases.
        about: its description.
        arguments: in place of the process's own.

    Returns:
        The result, as it is written.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=about)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes per side")
    parser.add_argument("--runs", type=int, default=5, help="most repetitions in a process")
    parser.add_argument("--case", action="append", help="only this case; repeat it for more")
    parser.add_argument("--side", action="append", help="of the peers only this one; repeat it for more")
    parser.add_argument("--dry-run", action="store_true", help="toy sizes, one round, nothing is written")
    parser.add_argument("--folder", type=Path, help="where large files may be written for a while")
    parser.add_argument("--json", type=Path, help=f"default: benchmarks/results/{module}.json")
    parser.add_argument("--measure", nargs=2, metavar=("CASE", "SIDE"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    options = Options(torch.device(given.device), given.dry_run, 1 if given.dry_run else given.runs, given.folder)
    if given.measure:
        print(json.dumps(_measure(make_cases, options, *given.measure)))
        return {}
    cases = [case for case in make_cases(options) if not given.case or case.name in given.case]
    cases = [only(case, given.side) for case in cases] if given.side else cases
    command = [sys.executable, "-m", f"benchmarks.{module}", "--device", given.device, "--runs", str(given.runs)]
    command += ["--folder", str(given.folder)] if given.folder else []
    result = compare(module, cases, options, rounds=1 if given.dry_run else given.rounds, command=command)
    if given.json or not given.dry_run:
        path = given.json or RESULTS / f"{module}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"written: {path}", file=sys.stderr)
    return result


def only(case: Case, names: Sequence[str]) -> Case:
    """The case with its first side and those that are named."""
    sides = {name: side for number, (name, side) in enumerate(case.sides.items()) if not number or name in names}
    return dataclasses.replace(case, sides=sides, peers=[name for name in case.peers if name in sides])


def compare(module: str, cases: list[Case], options: Options, *, rounds: int, command: list[str]) -> dict[str, Any]:
    """All sides in turn, as often as there are rounds; in this process if it is a dry run."""
    machine = dataclasses.asdict(describe_machine(options.device))
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    turn = [(FLOOR, FLOOR), *((case.name, side) for case in cases for side in case.sides)]
    for number, (name, side) in product(range(rounds), turn):
        if options.dry:
            one = json.loads(json.dumps(_measure(lambda _: cases, options, name, side)))
        else:
            one = _run([*command, "--measure", name, side])
        found.setdefault((name, side), []).append(one)
        print(f"round {number + 1} of {rounds}, {name}, {side}: {_short(one)}", file=sys.stderr, flush=True)
    floors = [Floor(**one) for one in found[FLOOR, FLOOR]]
    floor = Floor(max(each.read for each in floors), max(each.multiply for each in floors), floors[0].dtype)
    return {
        "benchmark": module,
        "dry": options.dry,
        "rounds": rounds,
        "machine": machine | {"instructions": list(machine["instructions"])},
        "floor": {**dataclasses.asdict(floor), "rounds": [dataclasses.asdict(each) for each in floors]},
        "cases": {
            case.name: {
                "about": case.about,
                "facts": dict(case.facts),
                "peers": list(case.peers),
                "floor_seconds": {name: floor.seconds(work) for name, work in case.work.items()},
                "sides": {side: _merged(found[case.name, side]) for side in case.sides},
            }
            for case in cases
        },
    }


def _measure(make_cases: Callable[[Options], Iterable[Case]], options: Options, case: str, side: str) -> dict[str, Any]:
    """One side in this process; a side that fails says so instead of ending all others."""
    if side == FLOOR:
        tiny = TINY_FLOOR if options.dry else {}
        return dataclasses.asdict(measure_floor(options.device, torch.bfloat16, **tiny))
    sides = next(each.sides for each in make_cases(options) if each.name == case)
    try:
        measured = sides[side](options)
    except UnavailableError as reason:
        return {"unavailable": str(reason)}
    return {**dataclasses.asdict(measured), "peak": peak_memory(options.device)}


class UnavailableError(Exception):
    """A side cannot be measured here, and why."""


def _run(command: list[str]) -> dict[str, Any]:
    environment = os.environ | {STARTED: repr(time.time())}
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        return {"unavailable": f"its process ended with status {done.returncode}"}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _merged(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Repetitions of all rounds together, and the median of each round; peaks and numbers are medians."""
    failed = [run["unavailable"] for run in runs if "unavailable" in run]
    if failed:
        return {"unavailable": failed[0]}
    timings = {
        name: {
            **dataclasses.asdict(Timing.of([seconds for run in runs for seconds in run["seconds"][name]])),
            "rounds": [Timing.of(run["seconds"][name]).median for run in runs],
        }
        for name in runs[0]["seconds"]
    }
    numbers = {name: Timing.of([run["numbers"][name] for run in runs]).median for name in runs[0]["numbers"]}
    peak = {
        where: None if value is None else max(run["peak"][where] for run in runs)
        for where, value in runs[0]["peak"].items()
    }
    return {"timings": timings, "numbers": numbers, "peak": peak}


def _short(one: dict[str, Any]) -> str:
    if "seconds" not in one:
        return str(one)
    return ", ".join(f"{name} {Timing.of(seconds).median:.4g} s" for name, seconds in one["seconds"].items())
