"""`vlkit demo`: every step is reported, answers are those of `read`, and what the model is unsure of is called that."""

import ast
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageChops, ImageStat

import vlkit
from tests.cli.conftest import Run
from tests.drawing.test_boxes import bounds
from tests.markdown import PHOTO, ROOT
from vlkit.cli.demo import UNSURE
from vlkit.cli.steps import READER
from vlkit.cli.terminal import printable
from vlkit.drawing.answer_panel import FOUND
from vlkit.evaluation.boxes import iou
from vlkit.printed_text.composing import TRAINED_FONTS
from vlkit.printed_text.page import Page, render
from vlkit.printed_text.questions import WHERE
from vlkit.printed_text.reading import read
from vlkit.printed_text.words import split_of
from vlkit.processing import GroundedObject, from_pixels
from vlkit.processing.grounding import render as grounded
from vlkit.tiling import Box
from vlkit.vlm import VLM

STEPS = ("load", "tiling", "pixels", "vision", "projector", "layout", "prompt", "prefill", "decode", "judge")
BUNDLED = ROOT / "src" / "vlkit" / "assets" / "demo-text.png"
SIZE = (448, 384)
"""Of the picture that comes with vlkit."""
Script = Callable[..., None]


@pytest.fixture(scope="module")
def page() -> Page:
    """What is printed on the picture that comes with vlkit."""
    found: Page = runpy.run_path(str(ROOT / "tools" / "make_demo_text.py"))["PAGE"]
    return found


@pytest.fixture(scope="module")
def reader() -> tuple[VLM, Any]:
    return vlkit.from_pretrained(READER, dtype=torch.float32), vlkit.load_processor(READER)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, reader: tuple[VLM, Any]) -> Script:
    """Lets the model say certain texts, one after the other, and all of them be believed."""

    def prepare(*texts: str) -> None:
        tokenizer, replies = reader[1].tokenizer, iter(texts)
        monkeypatch.setattr("vlkit.printed_text.answer.LEAST_PROBABILITY", 0.0)
        monkeypatch.setattr("vlkit.printed_text.answer.LEAST_PLACE_PROBABILITY", 0.0)
        monkeypatch.setattr(
            VLM,
            "generate",
            lambda self, **inputs: torch.tensor([[*tokenizer.encode(next(replies)), tokenizer.eos_id]]),
        )

    return prepare


def places(**boxes: Box) -> str:
    """Answer to the question for places."""
    return grounded(GroundedObject(word, (from_pixels(box, SIZE),)) for word, box in boxes.items())


def without_times(text: str) -> str:
    return re.sub(r" +[0-9.]+ ms", " ms", text)


def told(out: str) -> str:
    """Text of the first answer, believed or not."""
    unsure = re.search(r"^  unsure: ('.*'|\".*\") \(mean", out, re.MULTILINE)
    if unsure:
        return str(ast.literal_eval(unsure[1]))
    lines = out.partition("\n\nRead the text.\n")[2].partition("\n  (mean")[0].splitlines()
    return "\n".join(line.removeprefix("  ") for line in lines)


def test_every_step_is_reported_and_the_picture_is_drawn(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run("demo")
    assert outcome.code == 0, outcome.err
    places = [outcome.out.index(f"  {step:<10}") for step in STEPS]
    assert places == sorted(places)
    config = vlkit.resolve_config(READER)
    tiling, views = config.tiling(SIZE), 1 + config.tiling(SIZE).grid.area
    tokens, width = config.image_tokens(SIZE), config.decoder.dim
    across, down = tiling.tile_size
    for shape in ([views, 3, down, across], [views, *config.grid, width], [tokens, width]):
        assert str(shape) in outcome.out
    assert outcome.out.rstrip().splitlines()[-1].startswith("  vlkit generate")
    with Image.open(tmp_path / "vlkit-demo.png") as drawn:
        assert drawn.width == 2400 and drawn.height > 1600


def test_demo_reads_its_picture(run: Run, tmp_path: Path, page: Page) -> None:
    out = run("demo", "-o", tmp_path / "out.png").out
    assert told(out) == page.text
    assert "unsure" not in out
    found = re.findall(r"^  (\w+) at \((\d+), (\d+)\) to \((\d+), (\d+)\)$", out, re.MULTILINE)
    printed = render(page).words
    assert [word for word, *_ in found] == [word for word, _ in printed]
    for (_, *place), (_, right) in zip(found, printed, strict=True):
        assert iou(Box(*map(int, place)), right) > 0.5
    with Image.open(tmp_path / "out.png") as drawn:
        assert bounds(drawn.convert("RGB").resize((600, drawn.height // 4), Image.Resampling.NEAREST), FOUND[0])


def test_a_photograph_is_not_read(run: Run, tmp_path: Path) -> None:
    out = run("demo", PHOTO, "-o", tmp_path / "out.png").out
    assert UNSURE in out and "  unsure: " in out
    assert WHERE not in out and "  locate" not in out
    with Image.open(tmp_path / "out.png") as drawn:
        small = drawn.convert("RGB").resize((600, drawn.height // 4), Image.Resampling.NEAREST)
    assert bounds(small, FOUND[0]) is None


@pytest.mark.parametrize("name", ["bundled", "photo", "gradient"])
def test_the_answer_is_that_of_read(run: Run, tmp_path: Path, reader: tuple[VLM, Any], name: str) -> None:
    gradient = tmp_path / "gradient.png"
    Image.linear_gradient("L").resize((60, 150)).save(gradient)
    picture = {"bundled": BUNDLED, "photo": PHOTO, "gradient": gradient}[name]
    out = run("demo", picture, "-o", tmp_path / "out.png").out
    with Image.open(picture) as opened:
        answer = read(*reader, opened.convert("RGB"))
    assert told(out) == printable(answer.text)
    assert f"mean probability of its characters {answer.probability:.3f}" in out
    assert (UNSURE in out) or answer.believable


TWO = places(K7M=Box(64, 16, 160, 80), LONGEST=Box(64, 96, 256, 176))


def test_all_words_are_found_and_one_of_them_is_proposed(run: Run, tmp_path: Path, script: Script) -> None:
    script("K7M\nLONGEST", TWO)
    outcome = run("demo", "-o", tmp_path / "out.png")
    assert outcome.code == 0, outcome.err
    assert told(outcome.out) == "K7M\nLONGEST"
    lines = "  K7M at (64, 16) to (160, 80)\n  LONGEST at (64, 96) to (256, 176)\n"
    assert f"\n{WHERE}\n{lines}" in outcome.out
    assert "  vlkit demo --find LONGEST\n" in outcome.out
    assert UNSURE not in outcome.out
    with Image.open(tmp_path / "out.png") as drawn:
        small = drawn.convert("RGB").resize((600, drawn.height // 4), Image.Resampling.NEAREST)
    assert bounds(small, FOUND[0])


def test_a_wanted_word_is_found_in_either_case_if_it_was_read(run: Run, tmp_path: Path, script: Script) -> None:
    script("K7M\nLONGEST", TWO)
    out = run("demo", BUNDLED, "-o", tmp_path / "out.png", "--find", "k7m ").out
    assert f"\n{WHERE}\n  K7M at (64, 16) to (160, 80)\n  (mean" in out
    assert f"  vlkit demo {BUNDLED} --find LONGEST\n" in out
    script("K7M\nLONGEST", TWO)
    assert "  vlkit demo --find K7M\n" in run("demo", "-o", tmp_path / "out.png", "--find", "longest").out
    script("K7M\nLONGEST", TWO)
    out = run("demo", "-o", tmp_path / "out.png", "--find", "ABSENT").out
    assert "'ABSENT' is not among the words that were found" in out
    assert WHERE not in out


def test_another_question_is_answered_too(run: Run, tmp_path: Path, script: Script) -> None:
    script(places(K7M=Box(64, 32, 256, 128)))
    out = run("demo", "-o", tmp_path / "out.png", "--prompt", WHERE).out
    assert f"\n{WHERE}\n  K7M at (64, 32) to (256, 128)\n" in out
    assert "Read the text." not in out.partition("Try next")[0]


def test_an_answer_without_end_is_not_believed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlkit.printed_text.answer.LEAST_PROBABILITY", 0.0)
    monkeypatch.setattr(VLM, "generate", lambda self, **inputs: torch.tensor([[65, 66]]))
    out = run("demo", "-o", tmp_path / "out.png").out
    assert "; no end)" in out and UNSURE in out


def test_it_is_repeatable_and_leaves_the_process_as_it_was(run: Run, tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((60, 300)).save(tmp_path / "my photo.png")
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    arguments = ("demo", tmp_path / "my photo.png", "-o", tmp_path / "out.png")
    first, second = run(*arguments), run(*arguments)
    assert first.code == 0, first.err
    assert without_times(first.out) == without_times(second.out)
    assert f"--image '{tmp_path / 'my photo.png'}'" in first.out
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_bad_input_is_refused_before_anything_is_loaded(run: Run, tmp_path: Path) -> None:
    both = ["--find", "A", "--prompt", "?"]
    for arguments in (["missing.jpg"], ["-o", "out.gif"], ["-o", str(tmp_path / "none" / "out.png")], both):
        outcome = run("demo", *arguments)
        assert outcome.code == 1
        assert "load" not in outcome.out


def test_a_prompt_with_a_tag_of_its_own_is_refused(run: Run, tmp_path: Path) -> None:
    outcome = run("demo", "-o", tmp_path / "out.png", "--prompt", "<image> and what?")
    assert outcome.code == 1
    assert "<image>" in outcome.shown


def test_the_picture_is_what_its_script_prints(page: Page) -> None:
    with Image.open(BUNDLED) as opened:
        difference = ImageChops.difference(opened.convert("RGB"), render(page).image)
    assert max(ImageStat.Stat(difference).mean) < 2


def test_the_picture_shows_words_that_are_not_trained_on_in_a_font_that_is(page: Page) -> None:
    assert {split_of(word) for line in page.lines for word in line} == {"held_out"}
    assert page.face.partition("/")[0] in TRAINED_FONTS
