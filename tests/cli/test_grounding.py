"""`vlkit generate --draw-boxes`: the boxes of an answer on its picture, and what could not be drawn."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.cli.conftest import Run
from vlkit.vlm import VLM

FOX = "<|ref|>fox<|/ref|><|det|>[[0, 0, 499, 999], [9, 9, 1, 1]]<|/det|>"


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch, run: Run, checkpoint: Path, picture: Path) -> Any:
    """Runs the command with a model whose answer is forced."""

    def ask(answer: str, *options: str | Path) -> Any:
        def stream(self: VLM, tokenizer: Any, **inputs: Any) -> Any:
            prompt = {name: inputs[name] for name in inputs if name.startswith(("input", "im", "att"))}
            self.incremental_prefilling(**prompt, cache=inputs["cache"])
            return iter([answer[:5], answer[5:]])

        monkeypatch.setattr(VLM, "stream", stream)
        return run("generate", "-m", checkpoint, "-i", picture, "-p", "Where is the fox?", *options)

    return ask


def test_boxes_are_drawn_and_what_is_malformed_is_told(answering: Any, tmp_path: Path) -> None:
    outcome = answering(FOX, "--draw-boxes", tmp_path / "out.png")
    assert outcome.code == 0, outcome.err
    assert outcome.out == FOX + "\n"
    assert "1 fox: [[0, 0, 75, 70]] in pixels" in outcome.err
    assert "not usable: '[9, 9, 1, 1]' (edges in the wrong order)" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]
    with Image.open(tmp_path / "out.png") as drawn:
        assert drawn.size == (450, 210)
        assert any(drawn.getpixel((x, 105)) == (0xE6, 0x9F, 0x00) for x in range(215, 230))


def test_json_holds_objects_and_malformed_parts(answering: Any, tmp_path: Path) -> None:
    report = json.loads(answering(FOX, "--draw-boxes", tmp_path / "out.png", "--json").out)
    assert report["objects"] == [{"name": "fox", "boxes": [[0, 0, 75, 70]]}]
    assert report["malformed"] == [{"text": "[9, 9, 1, 1]", "reason": "edges in the wrong order"}]
    assert "objects" not in json.loads(answering(FOX, "--json").out)


def test_an_answer_without_boxes_is_told(answering: Any, tmp_path: Path, picture: Path) -> None:
    outcome = answering("I see no fox", "--draw-boxes", tmp_path / "out.png")
    assert outcome.code == 0
    assert "nothing in the answer has a box" in outcome.err
    assert (tmp_path / "out.png").is_file()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--draw-boxes", "out.jpg"], "pictures are written as .png"),
        (["--draw-boxes", "out.png", "--image", "b.png"], "--draw-boxes with 2 pictures"),
        (["--draw-boxes", "out.png", "--font", "no.ttf"], "cannot be used as a font"),
    ],
)
def test_what_cannot_be_drawn_is_said_first(answering: Any, options: list[str], problem: str) -> None:
    outcome = answering(FOX, *options)
    assert outcome.code == 1
    assert problem in outcome.shown


def test_no_picture_has_no_boxes(run: Run, checkpoint: Path) -> None:
    outcome = run("generate", "-m", checkpoint, "-p", "Hello", "--draw-boxes", "out.png")
    assert "--draw-boxes with 0 pictures" in outcome.shown
