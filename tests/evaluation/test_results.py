"""Results: sums over samples and groups, the worst first, JSON and a table."""

import json
from pathlib import Path

import pytest

from vlkit.errors import CheckpointError, InputError
from vlkit.evaluation import METRICS, Evaluation, Ratio, Result, Skipped, TextNormalization

CHOSEN = (METRICS["exact_match"], METRICS["character_error_rate"], METRICS["box_iou"])


def result(index: int, group: str, **scores: tuple[float, float]) -> Result:
    return Result(
        index,
        f"set, line {index}",
        group,
        "What?",
        ("right",),
        f"answer {index}",
        {name: Ratio(*pair) for name, pair in scores.items()},
    )


RESULTS = (
    result(0, "1x1", exact_match=(1, 1), character_error_rate=(0, 4)),
    result(1, "1x2", exact_match=(0, 1), character_error_rate=(1, 2)),
    result(2, "1x1", exact_match=(0, 1), character_error_rate=(6, 6)),
    result(3, "1x2", box_iou=(0.25, 1)),
)
EVALUATION = Evaluation(
    CHOSEN, TextNormalization(), RESULTS, (Skipped(4, "set, line 4", "set, line 4: no picture"),), {"limit": None}
)


def test_scores_are_sums_over_sums() -> None:
    scores = EVALUATION.scores
    assert {name: score.value for name, score in scores.items()} == {
        "exact_match": pytest.approx(1 / 3),
        "character_error_rate": 7 / 12,
        "box_iou": 0.25,
    }
    assert [score.samples for score in scores.values()] == [3, 3, 1]


def test_groups_are_measured_on_their_own() -> None:
    groups = EVALUATION.groups
    assert list(groups) == ["1x1", "1x2"]
    assert groups["1x1"]["exact_match"].value == 0.5
    assert groups["1x2"]["character_error_rate"].value == 0.5
    assert groups["1x1"]["box_iou"].value is None


def test_the_worst_come_first_and_the_perfect_not_at_all() -> None:
    assert [each.index for each in EVALUATION.worst(9)] == [1, 2, 3]
    assert [each.index for each in EVALUATION.worst(9, metric="character_error_rate")] == [2, 1]
    assert [each.index for each in EVALUATION.worst(1, metric="box_iou")] == [3]
    with pytest.raises(InputError, match="'anls' was not measured"):
        EVALUATION.worst(1, metric="anls")


def test_json_holds_everything(tmp_path: Path) -> None:
    EVALUATION.save(tmp_path / "new" / "evaluation.json")
    read = json.loads((tmp_path / "new" / "evaluation.json").read_text(encoding="utf-8"))
    assert read == EVALUATION.to_dict()
    assert read["samples"] == 4
    assert read["scores"]["box_iou"]["samples"] == 1
    assert read["groups"]["1x1"]["exact_match"]["interval"] == "wilson"
    assert read["results"][3]["scores"] == {"box_iou": {"part": 0.25, "whole": 1.0}}
    assert read["skipped"] == [{"index": 4, "origin": "set, line 4", "reason": "set, line 4: no picture"}]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["evaluation.json"]


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        EVALUATION.save(tmp_path / "file" / "evaluation.json")


def test_the_table_tells_value_interval_and_number() -> None:
    lines = [line.split() for line in str(EVALUATION).splitlines()]
    assert lines[1] == ["exact_match", "3", "0.333", "0.061", "to", "0.792"]
    assert [line[:2] for line in lines[2:4]] == [["1x1", "2"], ["1x2", "1"]]
    assert ["box_iou", "1", "0.250"] in [line[:3] for line in lines]
    assert lines[-1] == ["skipped:", "1"]
