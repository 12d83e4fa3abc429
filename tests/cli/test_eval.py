"""`vlkit eval`: the numbers of the library, from a set or a recipe; what cannot be measured is said at once."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import vlkit
from tests.cli.conftest import Run
from tests.evaluation.scripted import Listed
from vlkit.evaluation import evaluate
from vlkit.training.json_lines import JsonLines
from vlkit.training.sample import Sample


@pytest.fixture
def dataset(tmp_path: Path, picture: Path) -> Path:
    """Three questions, the last one without its picture."""
    shutil.copy(picture, tmp_path / "wide.png")
    entries = [
        {"id": 1, "image": "wide.png", "conversations": [said("human", "<image>\nRead"), said("gpt", "x")]},
        {"id": 2, "conversations": [said("human", "Hello"), said("gpt", "Hello there")]},
        {"id": 3, "image": "gone.png", "conversations": [said("human", "<image>\nRead"), said("gpt", "x")]},
    ]
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def said(who: str, text: str) -> dict[str, str]:
    return {"from": who, "value": text}


def test_numbers_are_the_librarys(run: Run, checkpoint: Path, dataset: Path, tmp_path: Path) -> None:
    options = ("--data", dataset, "--images", dataset.parent, "--limit", 2, "--max-new-tokens", 4, "--device", "cpu")
    outcome = run("eval", checkpoint, *options, "--output", tmp_path / "out", "--group-by", "tiles")
    assert outcome.code == 0, outcome.err
    expected = evaluate(
        vlkit.from_pretrained(checkpoint),
        vlkit.DeepseekVLV2Processor.from_pretrained(checkpoint),
        JsonLines(dataset, dataset.parent),
        limit=2,
        max_new_tokens=4,
        group_by="tiles",
    )
    assert outcome.out.startswith(str(expected))
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8")) == expected.to_dict()
    with Image.open(tmp_path / "out" / "failures.png") as sheet:
        assert (sheet.format, sheet.width) == ("PNG", 1920)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["evaluation.json", "failures.png"]


def test_json_and_a_choice_of_measures(run: Run, checkpoint: Path, dataset: Path) -> None:
    options = ("--data", dataset, "--images", dataset.parent, "--max-new-tokens", 4, "--skip-bad", "--ignore-case")
    outcome = run("eval", checkpoint, *options, "--metric", "anls", "--metric", "exact_match", "--json")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert list(report["scores"]) == ["anls", "exact_match"]
    assert report["samples"] == 2
    assert report["normalization"]["ignore_case"] is True
    assert "set.jsonl, line 3" in outcome.shown


def test_a_recipe_names_the_set(run: Run, checkpoint: Path, dataset: Path, tmp_path: Path) -> None:
    data = f'type = "jsonl"\nfile = "{dataset}"\nimages = "{dataset.parent}"\n'
    learned = tmp_path / "recipe.toml"
    learned.write_text(f"steps = 100\n[data]\n{data}")
    held_out = tmp_path / "held-out.toml"
    held_out.write_text(f'steps = 100\n[data]\ntype = "jsonl"\nfile = "no.jsonl"\n[evaluation.data]\n{data}')
    by_name = run(
        "eval", checkpoint, "--data", dataset, "--images", dataset.parent, "--limit", 2, "--max-new-tokens", 3
    )
    for recipe in (learned, held_out):
        outcome = run("eval", checkpoint, "--recipe", recipe, "--limit", 2, "--max-new-tokens", 3)
        assert outcome.code == 0, outcome.err
        assert outcome.out == by_name.out


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "neither --data nor --recipe"),
        (["--data", "set.jsonl", "--recipe", "a.toml"], "both --data and --recipe"),
        (["--data", "no.jsonl"], "no.jsonl"),
        (["--recipe", "no.toml"], "no.toml"),
        (["--data", "set.jsonl", "--metric", "bleu"], "no metric is called 'bleu'"),
        (["--data", "set.jsonl", "--group-by", "size"], "no grouping is called 'size'"),
        (["--data", "set.jsonl", "--font", "no.ttf"], "cannot be used as a font"),
        (["--data", "set.jsonl", "--device", "gpu9"], "device 'gpu9' cannot be used"),
        (["--recipe", "empty.toml"], "names no data"),
        (["--recipe", "empty.toml", "--images", "."], "--images with --recipe"),
    ],
)
def test_errors_come_before_weights_are_read(
    run: Run,
    checkpoint: Path,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    problem: str,
) -> None:
    shutil.copytree(checkpoint, tmp_path / "no weights", ignore=shutil.ignore_patterns("*.safetensors"))
    (tmp_path / "empty.toml").write_text("steps = 100\n")
    monkeypatch.chdir(tmp_path)
    outcome = run("eval", tmp_path / "no weights", *options)
    assert outcome.code == 1
    assert problem in outcome.shown
    assert "safetensors" not in outcome.shown


def test_a_source_without_end_needs_a_limit(run: Run, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = Listed(
        [Sample(({"role": "user", "content": "Hello"}, {"role": "assistant", "content": "x"}))], endless=True
    )
    monkeypatch.setattr("vlkit.cli.eval.open_source", lambda *options: endless)
    assert "set --limit" in run("eval", checkpoint).shown
    outcome = run("eval", checkpoint, "--limit", 3, "--max-new-tokens", 2, "--metric", "exact_match")
    assert outcome.out.splitlines()[1].split()[:2] == ["exact_match", "3"]


def test_a_bad_sample_is_named(run: Run, checkpoint: Path, dataset: Path) -> None:
    outcome = run("eval", checkpoint, "--data", dataset, "--images", dataset.parent, "--max-new-tokens", 2)
    assert outcome.code == 1
    assert "set.jsonl, line 3" in outcome.shown
