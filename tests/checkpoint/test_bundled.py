"""Models inside the package: found by name without a network, named when misspelt, and packaged whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import vlkit
from tests.markdown import ROOT
from vlkit.checkpoint import BUNDLED, WeightFiles, bundled, bundled_folder, resolve_folder
from vlkit.errors import CheckpointError, ConfigError

MOST_BYTES = 8_000_000
FILES = {"config.json", "model.safetensors", "processor_config.json", "tokenizer.json"}


@pytest.mark.parametrize("name", BUNDLED)
def test_a_folder_is_whole_and_small(name: str) -> None:
    folder = bundled_folder(name)
    assert folder is not None and folder == resolve_folder(name) == resolve_folder(name, weights=False)
    files = {file.name: file.stat().st_size for file in folder.iterdir()}
    assert files.keys() >= FILES
    assert sum(files.values()) <= MOST_BYTES
    assert WeightFiles.open(folder).entries


@pytest.mark.parametrize("name", BUNDLED)
def test_a_name_stands_for_config_model_and_processor_without_a_network(name: str, tmp_path: Path) -> None:
    code = f"""
import socket, sys
def refuse(*arguments, **options):
    raise AssertionError("network")
socket.socket.connect = refuse
import vlkit
config = vlkit.resolve_config({name!r})
model, processor = vlkit.from_pretrained({name!r}), vlkit.load_processor({name!r})
assert model.config == config and processor.geometry.tile_size == config.tiling((9, 9)).tile_size
assert "torch._dynamo" not in sys.modules
assert vlkit.describe({name!r}).parameters.total == sum(each.numel() for each in model.parameters())
assert "huggingface_hub" not in sys.modules
"""
    environment = {**os.environ, "HF_HOME": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_a_local_folder_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / BUNDLED[0]).mkdir()
    monkeypatch.chdir(tmp_path)
    assert bundled_folder(BUNDLED[0]) is None
    assert resolve_folder(BUNDLED[0], revision="v1") == Path(BUNDLED[0])
    with pytest.raises(ConfigError, match="neither a preset nor a file"):
        vlkit.resolve_config(BUNDLED[0])


def test_a_path_is_never_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert bundled_folder(Path(BUNDLED[0])) is None
    with pytest.raises(CheckpointError, match="there is no folder"):
        resolve_folder(Path(BUNDLED[0]))


@pytest.mark.parametrize("name", ["mini", "owner/name", f"owner/{BUNDLED[0]}", ""])
def test_other_names_are_not_bundled(name: str) -> None:
    assert bundled_folder(name) is None


def test_a_revision_is_refused() -> None:
    for load in (resolve_folder, vlkit.from_pretrained, vlkit.load_processor):
        with pytest.raises(CheckpointError, match="at revision 'v1'") as caught:
            load(BUNDLED[0], revision="v1")
        assert "leave the revision out" in str(caught.value.remedy)


def test_a_misspelt_name_is_told_the_right_one() -> None:
    with pytest.raises(CheckpointError, match=rf"near: '{BUNDLED[0]}'"):
        vlkit.from_pretrained("vlkit-raeder")
    with pytest.raises(ConfigError, match=rf"did you mean '{BUNDLED[0]}'\?"):
        vlkit.resolve_config("vlkit-raeder")


def test_missing_files_are_told_as_a_broken_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "BUNDLED", ("vlkit-lost",))
    with pytest.raises(CheckpointError, match="'vlkit-lost' is missing from this installation") as caught:
        resolve_folder("vlkit-lost")
    assert "install vlkit again" in str(caught.value.remedy)


def test_the_wheel_holds_what_is_in_the_assets() -> None:
    packaged = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    source = ROOT / "src"
    assets = {
        path.relative_to(source).as_posix() for path in (source / "vlkit" / "assets").rglob("*") if path.is_file()
    }
    assert {f"vlkit/assets/{BUNDLED[0]}/model.safetensors", "vlkit/assets/demo-text.png"} <= assets <= packaged
