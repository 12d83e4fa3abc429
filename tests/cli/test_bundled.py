"""The model that comes with vlkit, named on the command line: every command that takes a model takes it."""

import json
from pathlib import Path
from typing import Any

import pytest

import vlkit
from tests.cli.conftest import Run
from vlkit.models import auto

NAME = "vlkit-reader"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


def test_generate_answers(run: Run, picture: Path) -> None:
    outcome = run(
        "generate", "--model", NAME, "--image", picture, "--prompt", "Read the text.", "--json", "--dtype", "float32"
    )
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert report["image_tokens"] == [vlkit.resolve_config(NAME).image_tokens((150, 70))]


def test_generate_refuses_a_revision(run: Run) -> None:
    outcome = run("generate", "--model", NAME, "--prompt", "Read the text.", "--revision", "main")
    assert outcome.code == 1
    assert f"'{NAME}' at revision 'main'" in outcome.shown


def test_chat_and_eval_open_it(run: Run, picture: Path, tmp_path: Path) -> None:
    outcome = run("chat", "--model", NAME, "--max-new-tokens", "2", stdin="Read the text.\n/exit\n")
    assert outcome.code == 0, outcome.err
    turns = [{"from": "human", "value": "<image>\nRead the text."}, {"from": "gpt", "value": "AB 12"}]
    entry = {"id": 1, "image": picture.name, "conversations": turns}
    (tmp_path / "set.jsonl").write_text(json.dumps(entry))
    outcome = run("eval", NAME, "--data", tmp_path / "set.jsonl", "--images", picture.parent)
    assert outcome.code == 0, outcome.err


def test_describe_and_layout_know_its_config(run: Run, picture: Path) -> None:
    outcome = run("describe", NAME, "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["parameters"]["total"] == vlkit.describe(NAME).parameters.total
    outcome = run("layout", picture, "--config", NAME, "-o", "layout.png")
    assert outcome.code == 0, outcome.err
    assert Path("layout.png").is_file()


def test_bench_times_its_weights(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, load = [], auto.from_pretrained

    def noted(name: str, **options: Any) -> vlkit.VLM:
        loaded.append(name)
        return load(name, **options)

    monkeypatch.setattr(auto, "from_pretrained", noted)
    quick = ("--image-size", "64x64", "--new-tokens", "2", "--runs", "1", "--warmup", "0", "--no-floor")
    outcome = run("bench", NAME, *quick)
    assert outcome.code == 0, outcome.err
    assert loaded == [NAME]
