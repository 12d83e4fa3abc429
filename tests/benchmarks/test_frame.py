"""The frame of the benchmarks: turns, merged rounds, sides that fail, and every script once at toy size."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import compiled, decoders, frame, gpu, layout, loading, whole_path
from benchmarks.frame import Case, Measured, Options, UnavailableError, compare, is_steady, main
from vlkit.bench import Work

DRY = Options(torch.device("cpu"), dry=True, runs=1)


def test_work_is_repeated_once_it_is_steady() -> None:
    assert not is_steady([1.0, 1.0])
    assert is_steady([9.0, 1.0, 1.05])
    assert not is_steady([9.0, 1.0, 1.2]) and not is_steady([1.0, 2.0, 2.0])


def test_as_many_times_are_kept_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[None] = []
    options = Options(torch.device("cpu"), runs=4)
    monkeypatch.setattr(frame, "is_steady", lambda seconds: len(seconds) == 5)
    assert len(options.steady(lambda: done.append(None))) == 4
    assert len(done) == 9
    monkeypatch.setattr(frame, "BUDGET", 0.0)
    assert len(options.steady(lambda: done.append(None))) == 2


def test_sides_take_turns_and_rounds_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def run(command: list[str]) -> dict[str, Any]:
        side = command[-1]
        order.append(side)
        if side == "floor":
            return {"read": 100.0 + len(order), "multiply": 1000.0, "dtype": "bfloat16"}
        if side == "broken":
            return {"unavailable": "no such library"}
        times = [1.0, 3.0] if len(order) < 4 else [2.0, 8.0]
        peak = {"process": len(order), "device": None}
        return {"seconds": {"step": times}, "numbers": {"bytes": 7.0}, "peak": peak}

    monkeypatch.setattr(frame, "_run", run)
    case = Case("one", "a case", {"vlkit": unused, "broken": unused}, peers=("broken",), work={"step": Work(2000, 1)})
    result = compare("module", [case], Options(torch.device("cpu")), rounds=2, command=["python"])
    assert order == ["floor", "vlkit", "broken"] * 2
    assert result["floor"]["read"] == 104.0 and len(result["floor"]["rounds"]) == 2
    found = result["cases"]["one"]
    assert found["floor_seconds"] == {"step": 2.0} and found["peers"] == ["broken"]
    timing = found["sides"]["vlkit"]["timings"]["step"]
    assert (timing["median"], timing["least"], timing["count"], timing["rounds"]) == (2.5, 1.0, 4, [2.0, 5.0])
    assert found["sides"]["vlkit"]["peak"] == {"process": 5, "device": None}
    assert found["sides"]["broken"] == {"unavailable": "no such library"}


def test_only_peers_that_are_named_run_beside_the_first_side() -> None:
    case = Case("one", "a case", {"vlkit": unused, "slow": unused, "fast": unused}, peers=("slow", "fast"))
    chosen = frame.only(case, ["fast"])
    assert list(chosen.sides) == ["vlkit", "fast"] and list(chosen.peers) == ["fast"]
    assert list(frame.only(case, []).sides) == ["vlkit"]


def unused(options: Options) -> Measured:
    raise AssertionError("runs in another process")


def test_a_side_runs_in_a_process_of_its_own() -> None:
    script = "import json, os; print('noise'); print(json.dumps({'started': os.environ['VLKIT_BENCHMARK_STARTED']}))"
    assert float(frame._run([sys.executable, "-c", script])["started"]) > 0
    failed = frame._run([sys.executable, "-c", "raise SystemExit(3)"])
    assert failed == {"unavailable": "its process ended with status 3"}


def test_a_missing_library_is_said_and_other_errors_are_raised() -> None:
    def missing(options: Options) -> Measured:
        raise UnavailableError("timm is not installed")

    cases = [Case("one", "", {"missing": missing, "broken": unused})]
    assert frame._measure(lambda _: cases, DRY, "one", "missing") == {"unavailable": "timm is not installed"}
    with pytest.raises(AssertionError):
        frame._measure(lambda _: cases, DRY, "one", "broken")


SCRIPTS: dict[str, Callable[[list[str]], Any]] = {
    "decoders": lambda arguments: main("decoders", decoders.cases, None, arguments),
    "whole_path": lambda arguments: main("whole_path", whole_path.cases, None, arguments),
    "layout": lambda arguments: main("layout", layout.cases, None, arguments),
    "loading": loading.run,
    "compiled": lambda arguments: main("compiled", compiled.cases, None, arguments),
    "gpu": lambda arguments: main("gpu", gpu.cases, None, arguments),
}


@pytest.mark.filterwarnings("ignore")  # the peers' own
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_runs_from_end_to_end(name: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    result = SCRIPTS[name](["--dry-run", "--device", "cpu", "--json", str(path)])
    assert json.loads(path.read_text()) == result
    assert result["benchmark"] == name and result["dry"]
    for case in result["cases"].values():
        assert set(case["peers"]) <= case["sides"].keys()
        for side in case["sides"].values():
            assert side["timings"] and all(timing["median"] > 0 for timing in side["timings"].values())
        timed = {measure for side in case["sides"].values() for measure in side["timings"]}
        assert case["floor_seconds"].keys() <= timed
