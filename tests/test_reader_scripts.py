"""The reader's scripts: what was trained is shipped, measures are right, and the page says what was found."""

import hashlib
import json
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import vlkit
from tests.markdown import ROOT
from tests.training.runs import MODEL
from vlkit.errors import CheckpointError
from vlkit.evaluation.intervals import Ratio
from vlkit.files import write_json, write_text
from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor
from vlkit.printed_text.answer import LEAST_PROBABILITY, Answer
from vlkit.printed_text.composing import PageConfig
from vlkit.printed_text.page import Printed
from vlkit.printed_text.questions import READ
from vlkit.printed_text.source import places
from vlkit.training.toml import to_toml

FOLDER = ROOT / "examples" / "reader"
PAGE = runpy.run_path(str(ROOT / "tools" / "write_reader_page.py"))
PAGES = PageConfig(fonts=("pillow",), formats=((16, 8), (8, 8)), font_size=(6, 8), length=(1, 4))
READ_AT, FOUND_AT = 0.99, 0.97


def script(name: str) -> dict[str, Any]:
    sys.path.insert(0, str(FOLDER))
    try:
        return runpy.run_path(str(FOLDER / name))
    finally:
        sys.path.remove(str(FOLDER))


SHIP, EVALUATE = script("ship.py"), script("evaluate.py")


def run(main: Any, monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["script", *map(str, arguments)])
    main()


def row(step: int) -> dict[str, float]:
    return {"step": step, "loss": 2.0 / step, "samples": 4 * step, "tokens": 90 * step, "seconds": 0.5 * step}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    data = {"type": "printed_text", "pages": PAGES.model_dump(mode="json")}
    write_text(tmp_path / "recipe.toml", to_toml({"steps": 30, "data": data}))
    return tmp_path / "recipe.toml"


@pytest.fixture
def trained(tmp_path: Path, recipe: Path) -> Path:
    """Folder of a run of 30 steps with a checkpoint of step 20."""
    folder, model = tmp_path / "run", vlkit.build(MODEL)
    processor = DeepseekVLV2Processor.for_model(MODEL)
    vlkit.save_pretrained(model, folder / "model", processor=processor)
    vlkit.save_pretrained(vlkit.build(MODEL), folder / "checkpoints" / "step-000020", processor=processor)
    write_json(folder / "checkpoints" / "step-000020" / "state.json", {"format": 1, "step": 20})
    write_text(folder / "metrics.jsonl", "".join(json.dumps(row(step)) + "\n" for step in (10, 20, 30)))
    write_text(folder / "recipe.toml", recipe.read_text(encoding="utf-8"))
    return folder


def ship(monkeypatch: pytest.MonkeyPatch, trained: Path, recipe: Path, *more: Any) -> tuple[Path, dict[str, Any]]:
    monkeypatch.setattr("vlkit.printed_text.answering.MOST_TOKENS", 3)
    output, records = trained.parent / "assets" / "vlkit-reader", trained.parent / "records"
    where = ("--recipe", recipe, "--pages", 2, "--output", output, "--records", records, "--machine", "an abacus")
    run(SHIP["main"], monkeypatch, trained, *where, *more)
    return output, json.loads((records / "shipped.json").read_text(encoding="utf-8"))


def test_what_is_shipped_is_the_model_of_the_run_in_16_bits(
    monkeypatch: pytest.MonkeyPatch, trained: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, told = ship(monkeypatch, trained, recipe)
    weights, whole = load_file(output / "model.safetensors"), load_file(trained / "model" / "model.safetensors")
    kind = getattr(torch, told["type"])
    assert kind in (torch.bfloat16, torch.float16) and set(weights) == set(whole)
    assert all(torch.equal(weights[name], whole[name].to(kind)) for name in whole)
    config = json.loads((output / "config.json").read_text(encoding="utf-8"))
    assert config["torch_dtype"] == told["type"]
    assert vlkit.from_pretrained(output).config == MODEL
    assert vlkit.load_processor(output).config == vlkit.load_processor(trained / "model").config
    assert told["weights"] == hashlib.sha256((output / "model.safetensors").read_bytes()).hexdigest()
    assert told["bytes"] == sum(file.stat().st_size for file in output.iterdir())
    assert told["finished"] and (told["step"], told["samples"], told["machine"]) == (30, 120, "an abacus")
    records = trained.parent / "records"
    assert (records / "metrics.jsonl").read_text() == (trained / "metrics.jsonl").read_text()
    with Image.open(records / "curve.png") as curve:
        assert curve.width == 1800
    assert "note" not in capsys.readouterr().err


def test_an_unfinished_run_gives_its_newest_checkpoint_and_says_so(
    monkeypatch: pytest.MonkeyPatch, trained: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (trained / "model").rename(trained.parent / "gone")
    before = trained.parent / "before"
    write_text(before / "metrics.jsonl", "".join(json.dumps(row(step)) + "\n" for step in (5, 10)))
    output, told = ship(monkeypatch, trained, recipe, "--before", f"{before}@5")
    whole = load_file(trained / "checkpoints" / "step-000020" / "model.safetensors")
    rounded = {name: values.to(getattr(torch, told["type"])) for name, values in whole.items()}
    assert all(torch.equal(values, rounded[name]) for name, values in load_file(output / "model.safetensors").items())
    assert not (output / "state.json").exists()
    lines = (trained.parent / "records" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [(each["step"], each["seconds"]) for each in map(json.loads, lines)] == [(5, 2.5), (15, 7.5), (25, 12.5)]
    assert (told["finished"], told["runs"], told["step"]) == (False, 2, 25)
    assert "step-000020" in capsys.readouterr().err


def test_another_recipe_than_that_of_the_run_is_told(
    monkeypatch: pytest.MonkeyPatch, trained: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_text(recipe, recipe.read_text(encoding="utf-8").replace("steps = 30", "steps = 31"))
    ship(monkeypatch, trained, recipe)
    assert "steps was 30, is 31" in capsys.readouterr().err


def test_what_is_too_large_or_missing_is_refused_and_what_was_there_stays(
    monkeypatch: pytest.MonkeyPatch, trained: Path, recipe: Path
) -> None:
    output, _ = ship(monkeypatch, trained, recipe)
    before = (output / "model.safetensors").read_bytes()
    vlkit.save_pretrained(vlkit.build(MODEL), trained / "model")
    monkeypatch.setitem(SHIP["main"].__globals__, "MOST_BYTES", 1000)
    with pytest.raises(CheckpointError, match="bytes"):
        ship(monkeypatch, trained, recipe)
    assert (output / "model.safetensors").read_bytes() == before
    with pytest.raises(CheckpointError, match="neither a model nor a checkpoint"):
        SHIP["trained"](trained.parent / "nothing")


def test_weights_that_a_type_cannot_hold_are_refused(tmp_path: Path) -> None:
    model, processor = vlkit.build(MODEL), DeepseekVLV2Processor.for_model(MODEL)
    with torch.no_grad():
        next(model.projector.parameters()).view(-1)[0] = 1e5
    with pytest.raises(CheckpointError, match="too large"):
        SHIP["save"](model, processor, torch.float16, tmp_path / "half")
    SHIP["save"](model, processor, torch.bfloat16, tmp_path / "brain")
    assert model.dtype == torch.float32


def test_the_type_is_the_one_with_more_equal_answers() -> None:
    exact = [Answer("AB", 0.9, True), Answer("CD", 0.8, True)]
    same = SHIP["agreement"](exact, [Answer("AB", 0.7, True), Answer("CX", 0.1, True)])
    assert same == {"equal": 0.5, "difference": pytest.approx(0.2)}
    near, far = {"equal": 0.9, "difference": 0.1}, {"equal": 0.9, "difference": 0.2}
    better = {"equal": 0.95, "difference": 0.3}

    def order(own: dict[str, float], rounding: dict[str, float]) -> Any:
        return SHIP["order"]({"computed in it": own, "computed in float32": rounding})

    assert order(better, near) > order(near, near) > order(far, near) > order({"equal": 0.5, "difference": 0.0}, near)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[bytes, Printed]:
    """Printed pages by their pixels, as they are made."""
    pages: dict[bytes, Printed] = {}
    inner = EVALUATE["measure"].__globals__

    def remembered(make: Any) -> Any:
        def made(*arguments: Any, **named: Any) -> Any:
            printed = make(*arguments, **named)
            pages.update({page.image.tobytes(): page for page in printed})
            return printed

        return made

    for name in ("held_out_pages", "pages_by_length"):
        monkeypatch.setitem(inner, name, remembered(inner[name]))
    return pages


def right_answer(question: str, page: Printed) -> str:
    return page.text if question == READ else places(page)


def results(known: dict[bytes, Printed], wrong: str = "") -> dict[str, Any]:
    """Results of a reader that is right and sure, but for the questions called `wrong`, and that doubts all others."""

    def ask(name: str, questions: Sequence[tuple[str, Image.Image]]) -> list[Answer]:
        found = [(question, known.get(picture.tobytes())) for question, picture in questions]
        return [
            Answer("?", 0.3, True)
            if page is None or name == wrong
            else Answer(right_answer(question, page), READ_AT if question == READ else FOUND_AT, True)
            for question, page in found
        ]

    pages = PageConfig(formats=((64, 64), (128, 64)), font_size=(18, 24), lines=2, length=(1, 6), fonts=("pillow",))
    config = MODEL.replace(candidate_resolutions=((8, 8), (16, 8)))
    return {"samples": 24} | EVALUATE["measure"](ask, config, pages, 24)


def test_a_reader_that_is_right_has_full_marks(known: dict[bytes, Printed]) -> None:
    found = results(known)
    assert list(found["words"]) == ["trained fonts", "manrope", "caladea"]
    for tables in found["words"].values():
        assert [each["name"] for each in tables["grids"]] == ["all", "1x1", "1x2"]
        assert [each["name"] for each in tables["lengths"]] == ["3", "4", "5", "6"]
        assert [each["samples"] for each in tables["lengths"]] == [3] * 4
        assert all(each["exact"]["value"] == 1 and each["errors"]["value"] == 0 for each in tables["lengths"])
    assert [each["name"] for each in found["boxes_by_words"]] == ["1", "2", "3"]
    rows = found["pages"]
    assert rows[0]["samples"] == 24 == sum(each["samples"] for each in rows[1:])
    for each in (found["boxes"][1:], found["boxes_by_words"]):
        assert sum(row["samples"] for row in each) == 24 == found["boxes"][0]["samples"]
    assert found["pages"][0]["exact"] == {"value": 1.0, "low": pytest.approx(0.862, abs=1e-3), "high": 1.0}
    assert found["pages"][0]["errors"] == {"value": 0.0, "low": None, "high": None}
    assert found["boxes"][0]["right"]["value"] == 1 and found["boxes"][0]["overlap"]["value"] > 0.85
    assert found["absent"]["samples"] > 12 and found["absent"]["found"]["value"] < 0.2
    sure = {(each["task"], each["name"]): each for each in found["sureness"]["answers"]}
    assert sure["whole pages", "believed"]["right"]["value"] == 1
    assert sure["whole pages", "not believed"] == {
        "task": "whole pages", "name": "not believed", "samples": 0, "right": {"value": None, "low": None, "high": None}
    }  # fmt: skip
    for each in found["sureness"]["others"]:
        assert (each["read"]["value"], each["located"]["value"], each["samples"]) == (0, 0, 24)


def test_mistakes_are_counted_where_they_are_made(known: dict[bytes, Printed]) -> None:
    found = results(known, wrong="one word, manrope")
    assert {name: tables["grids"][0]["exact"]["value"] for name, tables in found["words"].items()} == {
        "trained fonts": 1, "manrope": 0, "caladea": 1
    }  # fmt: skip
    assert found["words"]["manrope"]["lengths"][0]["exact"]["value"] == 1
    found = results(known, wrong="places of words")
    assert found["boxes"][0]["right"]["value"] == found["boxes"][0]["overlap"]["value"] == 0
    assert found["pages"][0]["exact"]["value"] == 1


def test_thresholds_tell_what_they_keep_and_what_they_lose(known: dict[bytes, Printed]) -> None:
    rows = {each["threshold"]: each for each in results(known)["thresholds"]}
    assert LEAST_PROBABILITY in rows
    assert {name: rows[0.0][name]["value"] for name in ("believed", "right", "lost")} == {
        "believed": 1, "right": 1, "lost": 0
    }  # fmt: skip
    assert set(rows[0.0]["others"].values()) == {1} and set(rows[0.5]["others"].values()) == {0}
    assert rows[0.995]["believed"]["value"] == 0 and rows[0.995]["lost"]["value"] == 1
    assert rows[0.995]["right"]["value"] is None
    believed = EVALUATE["threshold_row"].__globals__["believed"]
    for answer in (Answer("A", LEAST_PROBABILITY, True), Answer("A", LEAST_PROBABILITY - 0.01, True),
                   Answer("", 1.0, True), Answer("A", 1.0, False)):  # fmt: skip
        assert believed(answer, LEAST_PROBABILITY) == answer.believable


def test_a_score_of_samples_that_are_alike_has_no_interval() -> None:
    score = EVALUATE["rows_of"].__globals__["score"]
    assert score([Ratio(2, 10), Ratio(2, 10)]) == {"value": 0.2, "low": None, "high": None}
    assert score([Ratio(1, 10), Ratio(5, 10)])["low"] < 0.3 < score([Ratio(1, 10), Ratio(5, 10)])["high"]
    assert score([]) == {"value": None, "low": None, "high": None}


def test_a_checkpoint_is_measured(
    monkeypatch: pytest.MonkeyPatch, trained: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, picture = trained.parent / "results.json", trained.parent / "pictures" / "accuracy.png"
    where = ("--recipe", recipe, "--output", output, "--picture", picture)
    monkeypatch.setattr("vlkit.printed_text.answering.MOST_TOKENS", 3)
    run(EVALUATE["main"], monkeypatch, "--model", trained / "model", "--samples", 2, "--batch-size", 2, *where)
    found = json.loads(output.read_text(encoding="utf-8"))
    weights = (trained / "model" / "model.safetensors").read_bytes()
    assert found["weights"] == hashlib.sha256(weights).hexdigest()
    assert found["pages"][0]["samples"] == 2 == found["samples"]
    assert found["parameters"] == sum(each.numel() for each in vlkit.build(MODEL, device="meta").parameters())
    printed = capsys.readouterr()
    assert "| manrope | all | 2 |" in printed.out and "whole pages: 2 answers" in printed.err
    with Image.open(picture) as drawn:
        assert (drawn.format, drawn.width) == ("PNG", 900)


def test_the_page_says_what_is_known() -> None:
    text = PAGE["PAGE"].read_text(encoding="utf-8")
    assert [found[1] for found in PAGE["MARKED"].findall(text)] == [
        "parts", "pictures", "training", "results", "sureness"
    ]  # fmt: skip
    assert PAGE["written"](text) == text, "run python tools/write_reader_page.py"
    for name in (PAGE["ACCURACY"], PAGE["CURVE"]):
        assert (f"assets/{name}" in text) == (PAGE["ASSETS"] / name).is_file()


def test_results_become_tables_and_a_picture(
    known: dict[bytes, Printed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = PAGE["written"].__globals__
    write_text(tmp_path / "recipe.toml", (FOLDER / "recipe.toml").read_text(encoding="utf-8"))
    for name in ("READER", "ASSETS"):
        monkeypatch.setitem(inner, name, tmp_path)
    page = "".join(f"<!-- {name} -->\nstale\n<!-- end -->\n" for name in ("parts", "training", "results", "sureness"))
    assert inner["written"](page).count(inner["NOTHING"]) == 3
    write_json(tmp_path / "results.json", results(known))
    types = {name: {"computed in it": {"equal": share}} for name, share in (("float16", 0.995), ("bfloat16", 0.9))}
    shipped = {"type": "float16", "types": types, "questions": 200, "bytes": 4_040_000, "runs": 2, "finished": False}
    write_json(tmp_path / "shipped.json", shipped | row(7200) | {"machine": "an abacus"})
    shown = inner["written"](page)
    assert inner["written"](shown) == shown and "stale" not in shown and inner["NOTHING"] not in shown
    said = [
        "| trained fonts | all | 24 | 100.0 (86.2 to 100.0) | 0.0 |",
        f"| **{LEAST_PROBABILITY:g}** | 100.0 | 100.0 | 0.0 |",
        "| whole pages | believed | 24 | 100.0",
        "7,200 steps in 2 runs",
        "stopped early",
        "60 minutes on an abacus",
        "4.0 MB: 99.5 % of 200 answers",
        "bfloat16 it would be 90.0 %",
    ]
    assert [text for text in said if text not in shown] == []
    model = vlkit.build(PAGE["config_of"](inner["_recipe"]()), device="meta")
    assert f"| {sum(weights.numel() for weights in model.parameters()):,} |" in shown
    inner["draw"]()
    assert (tmp_path / inner["ACCURACY"]).is_file()


def test_the_curve_of_the_documentation_is_that_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = runpy.run_path(str(ROOT / "tools" / "make_docs_pictures.py"))
    copied = tmp_path / "examples" / "reader"
    write_text(copied / "reader_curve.py", (FOLDER / "reader_curve.py").read_text(encoding="utf-8"))
    monkeypatch.setitem(pictures["reader_curve"].__globals__, "ROOT", tmp_path)
    heights = []
    for measured in ({}, {"eval_word_exact": 0.5, "eval_boxes": 0.4}):
        rows = [row(10), row(20) | measured]
        write_text(copied / "metrics.jsonl", "".join(json.dumps(each) + "\n" for each in rows))
        drawn = pictures["reader_curve"]()
        assert drawn.width == 900
        heights.append(drawn.height)
    assert heights[1] > 1.5 * heights[0]
