"""Reports: shares of the floor, JSON and back, the table."""

import json
from typing import Any

import pytest

from vlkit.bench import Floor, Report, Request, StageReport, Timing, Work, describe_machine
from vlkit.errors import InputError
from vlkit.notation import Size

FLOOR = Floor(read=1e10, multiply=1e12, dtype="bfloat16")


def report(floor: Floor | None = FLOOR) -> Report:
    stages = {
        "tiling": ([0.01, 0.02, 0.03], None),
        "vision": ([2.0, 1.0], Work(10**12, 10**9)),
        "decode": ([0.2], Work(10**9, 10**9)),
    }
    return Report(
        model="mini",
        dtype="bfloat16",
        request=Request((Size(20, 10), Size(3, 4)), 7, 9, chunk_size=5),
        prompt_positions=100,
        machine=describe_machine(),
        floor=floor,
        stages=tuple(StageReport.of(name, seconds, work, floor) for name, (seconds, work) in stages.items()),
        first_token=Timing.of([3.0]),
        tokens_per_second=5.0,
        weights=2**21,
        peak={"process": 2**30, "device": None},
    )


def test_a_share_is_the_floor_over_the_median() -> None:
    tiling, vision, decode = report().stages
    assert (tiling.floor_seconds, tiling.share, tiling.bound) == (None, None, None)
    assert (vision.floor_seconds, vision.bound, vision.share) == (1.0, "compute", 1 / 1.5)
    assert (decode.floor_seconds, decode.bound, decode.share) == (0.1, "memory", 0.5)


@pytest.mark.parametrize("floor", [FLOOR, None])
def test_json_and_back_is_the_same(floor: Floor | None) -> None:
    assert Report.from_dict(json.loads(json.dumps(report(floor).to_dict()))) == report(floor)


def test_without_a_floor_there_are_no_shares() -> None:
    found = report(None)
    assert {stage.share for stage in found.stages} == {None}
    assert "floor" not in dict(found.summary)


@pytest.mark.parametrize(
    ("change", "place"),
    [({"model": None}, "model"), ({"stages": [{}]}, "stages.0.name"), ({"request": {"new_tokens": "x"}}, "request")],
)
def test_other_json_is_refused_with_its_place(change: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError, match=f"no report of a bench: {place}"):
        Report.from_dict(report().to_dict() | change)


def test_the_table_has_a_line_per_stage_and_what_matters_below() -> None:
    lines = str(report()).splitlines()
    assert lines[0].split()[:2] == ["stage", "median"]
    assert lines[2].split() == ["vision", "1.50", "s", "1.25", "s", "-", "1.75", "s", "1.00", "s", "67%", "compute"]
    assert "first token: 3.00 s (3.00 s - 3.00 s)" in lines
    assert "peak memory: 1.00 GiB process" in lines
    assert "further tokens: 5.0 per second" in lines
