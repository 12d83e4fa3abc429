"""Checkpoint folders that are not whole, or not of this model, are refused before their weights are read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

import vlkit
from tests.models.saved import config_in, same_weights
from vlkit.errors import VlkitError


def edit_config(path: str, value: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = config_in(folder)
        section, name = path.split(".")
        content[section][name] = value
        (folder / "config.json").write_text(json.dumps(content))

    return change


def edit_weights(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        tensors = {name: value for path in folder.glob("*.safetensors") for name, value in load_file(path).items()}
        remove_weights(folder)
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return rewrite


def remove_weights(folder: Path) -> None:
    for path in folder.glob("model*"):
        path.unlink()


def only_pickles(folder: Path) -> None:
    remove_weights(folder)
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'exit'\ntR.")


def truncate(folder: Path) -> None:
    path = sorted(folder.glob("*.safetensors"))[1]
    path.write_bytes(path.read_bytes()[:-5])


MISTAKES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no folder": (shutil.rmtree, r"there is no folder [\s\S]*owner/name"),
    "no config": (lambda folder: (folder / "config.json").unlink(), r"no config\.json[\s\S]*beside its weights"),
    "broken config": (lambda folder: (folder / "config.json").write_text("{"), r"config\.json is malformed"),
    "config of nothing": (lambda folder: (folder / "config.json").write_text("[]"), r"config\.json holds a list"),
    "other model": (
        lambda folder: (folder / "config.json").write_text('{"model_type": "llama"}'),
        "model_type 'llama' is not known",
    ),
    "unknown field": (edit_config("vision_config.widht", 3), r"vision_config.widht .* did you mean 'width'\?"),
    "missing shard": (
        lambda folder: max(folder.glob("*.safetensors")).unlink(),
        r"is missing[\s\S]*index\.json names it",
    ),
    "truncated": (truncate, r"is damaged: its tensors end at byte"),
    "pickles": (only_pickles, r"pickle only: pytorch_model\.bin[\s\S]*never loaded"),
    "no weights": (edit_weights(dict.clear), "does not fit the model: 0 unknown"),
    "no files": (remove_weights, "has no weights"),
    "other shape": (
        edit_config("language_config.intermediate_size", 200),
        r"3 of another shape[\s\S]*mlp.gate_proj.weight' is \[192, 96\], expected \[200, 96\]",
    ),
    "fewer layers": (
        edit_config("language_config.num_hidden_layers", 2),
        "unknown 'language.model.layers.2.input_layernorm",
    ),
    "more experts": (
        edit_config("language_config.n_routed_experts", 9),
        r"missing 'language.model.layers.1.mlp.experts.8",
    ),
    "missing": (edit_weights(lambda t: t.pop("view_seperator")), r"missing 'view_seperator' \(here 'layout.view_sep"),
    "extra": (edit_weights(lambda t: t.update(extra=t["image_newline"].clone())), r"1 unknown[\s\S]*unknown 'extra'"),
    "misnamed": (
        edit_weights(lambda t: t.update(view_separator=t.pop("view_seperator"))),
        r"unknown 'view_separator'; the nearest expected name is 'view_seperator'",
    ),
    "whole numbers": (
        edit_weights(lambda t: t.update(image_newline=t["image_newline"].int())),
        "'image_newline' is int",
    ),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    vlkit.save_pretrained(vlkit.build("mini"), folder, max_shard_size="1MB")
    return folder


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_folder_that_is_not_whole_is_refused_before_it_is_read(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("weights are read")

    folder = shutil.copytree(saved, tmp_path / "copy")
    change, message = MISTAKES[mistake]
    assert same_weights(vlkit.from_pretrained(folder), vlkit.from_pretrained(saved))
    change(folder)
    for reader in ("read_into", "MappedFile.tensor"):
        monkeypatch.setattr(f"vlkit.checkpoint.loading.{reader}", refuse)
    with pytest.raises(VlkitError, match=message):
        vlkit.from_pretrained(folder)
