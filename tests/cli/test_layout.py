"""`vlkit layout`: the picture of any config, without weights."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        ([], 14 * 15 + 1 + 28 * 43),
        (["--layout", "1D"], 7 * 197),
        (["--global-view", "tail"], 14 * 15 + 1 + 28 * 43),
        (["--no-crop"], 2 * 14 * 15 + 1),
        (["--config", "mini"], 4 * 5 + 1 + 8 * 17),
    ],
)
def test_draws_and_tells_the_number_of_tokens(run: Run, tmp_path: Path, options: list[str], tokens: int) -> None:
    Image.linear_gradient("L").resize((1000, 620)).save(tmp_path / "photo.jpg")
    outcome = run("layout", tmp_path / "photo.jpg", "-o", tmp_path / "out.png", *options)
    assert outcome.code == 0, outcome.err
    assert f" {tokens} tokens in all" in outcome.out
    with Image.open(tmp_path / "out.png") as drawn:
        assert (drawn.format, drawn.width) == ("PNG", 2400)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "photo.jpg"]


def test_config_may_be_a_file_or_a_folder(run: Run, tmp_path: Path, golden: Path, picture: Path) -> None:
    folder = golden / "a4_mla_greedy_1d_head"
    (tmp_path / "own.json").write_text(json.dumps(json.loads((folder / "config.json").read_text())))
    texts = [
        run("layout", picture, "-o", tmp_path / "out.png", "--config", given).out
        for given in (folder, tmp_path / "own.json")
    ]
    assert texts[0] == texts[1]
    assert "tokens in all" in texts[0]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--config", "deepsek-vl2"], "did you mean 'deepseek-vl2'?"),
        (["--layout", "3D"], "'3D' is not one of the layouts"),
        (["--global-view", "middle"], "global_view"),
        (["-o", "out.jpg"], "pictures are written as .png"),
        (["-o", "nowhere/out.png"], "there is no folder 'nowhere'"),
    ],
)
def test_what_is_wrong_is_said(run: Run, picture: Path, options: list[str], problem: str) -> None:
    outcome = run("layout", picture, *options)
    assert outcome.code == 1
    assert problem in outcome.shown


def test_a_damaged_picture_leaves_the_file_that_was_there(run: Run, tmp_path: Path, picture: Path) -> None:
    (tmp_path / "cut.png").write_bytes(picture.read_bytes()[:60])
    (tmp_path / "out.png").write_text("before")
    assert run("layout", tmp_path / "cut.png", "-o", tmp_path / "out.png").code == 1
    assert (tmp_path / "out.png").read_text() == "before"
