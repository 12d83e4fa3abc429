"""Laws of checkpoint folders: all tensors of all shards, nothing from elsewhere, no pickles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from vlkit.checkpoint import WeightFiles
from vlkit.errors import CheckpointError

INDEX = "model.safetensors.index.json"


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    save_file({"a": torch.ones(2)}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"b": torch.ones(3), "c": torch.ones(4)}, tmp_path / "model-00002-of-00002.safetensors")
    write_index(tmp_path, {"a": 1, "b": 2, "c": 2})
    return tmp_path


def write_index(folder: Path, shard_of: dict[str, Any]) -> None:
    files = {k: f"model-0000{v}-of-00002.safetensors" if isinstance(v, int) else v for k, v in shard_of.items()}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": files}))


def test_all_shards_together_are_the_checkpoint(golden: Path) -> None:
    folder = golden / "a4_mla_greedy_1d_head" / "sharded"
    files = WeightFiles.open(folder)
    tensors = {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}
    assert files.shapes == {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    assert files.nbytes == sum(tensor.nbytes for tensor in tensors.values())
    assert len({entry.file for entry in files.entries.values()}) == 3


def test_a_single_file_wins_over_an_index(sharded: Path) -> None:
    save_file({"whole": torch.ones(1)}, sharded / "model.safetensors")
    assert list(WeightFiles.open(sharded).entries) == ["whole"]


def test_a_missing_shard_is_named_with_its_index(sharded: Path) -> None:
    (sharded / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model-00002-of-00002\.safetensors is missing") as caught:
        WeightFiles.open(sharded)
    assert str(sharded / INDEX) in str(caught.value)


@pytest.mark.parametrize(
    "file",
    [
        "../model.safetensors",
        "/etc/model.safetensors",
        "sub/m.safetensors",
        "..",
        "c:m.safetensors",
        r"..\m.safetensors",
    ],
)
def test_an_index_cannot_leave_its_folder(sharded: Path, file: str) -> None:
    (sharded / "sub").mkdir()
    for folder in (sharded.parent, sharded / "sub"):
        save_file({"a": torch.ones(2)}, folder / "m.safetensors")
    write_index(sharded, {"a": file})
    with pytest.raises(CheckpointError, match="in the folder of the index"):
        WeightFiles.open(sharded)


@pytest.mark.parametrize(
    ("shard_of", "problem"),
    [
        ({"a": 1, "b": 2}, "holds 'c', which .* does not list"),
        ({"a": 1, "b": 2, "c": 1}, "holds 'c', which .* puts in|lacks 'c'"),
        ({"a": 1, "b": 2, "c": 2, "d": 1}, "lacks 'd'"),
        ({"a": None}, "not a string"),
    ],
)
def test_an_index_at_odds_with_its_shards_is_refused(sharded: Path, shard_of: dict[str, Any], problem: str) -> None:
    write_index(sharded, shard_of)
    with pytest.raises(CheckpointError, match=problem):
        WeightFiles.open(sharded)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"weight_map": []}', '{"weight_map": 3}', "[" * 100_000, "\ud800"]
)
def test_a_malformed_index_is_refused(sharded: Path, text: str) -> None:
    (sharded / INDEX).write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(CheckpointError, match=r"index\.json is malformed"):
        WeightFiles.open(sharded)


def test_an_enormous_index_is_not_read(sharded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlkit.checkpoint.files.MAX_INDEX_BYTES", 20)
    with pytest.raises(CheckpointError, match="larger than 20 bytes"):
        WeightFiles.open(sharded)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth"])
def test_pickles_are_never_loaded(tmp_path: Path, name: str) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / name)
    with pytest.raises(CheckpointError, match="pickles are never loaded") as caught:
        WeightFiles.open(tmp_path)
    assert name in str(caught.value)


def test_a_folder_without_weights_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no weights\n"):
        WeightFiles.open(tmp_path)
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"has no weights, but other\.safetensors"):
        WeightFiles.open(tmp_path)
    with pytest.raises(CheckpointError, match="is not a folder"):
        WeightFiles.open(tmp_path / "nowhere")
