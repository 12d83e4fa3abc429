"""Laws of saving: what is saved is read back, by the reference too, and no interruption loses a checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from tests.checkpoint.small import KEYMAP, official, on_meta, same
from vlkit.checkpoint import KeyMap, Rule, WeightFiles, load_into, named_tensors, save
from vlkit.checkpoint.header import DTYPES
from vlkit.checkpoint.saving import parse_size
from vlkit.errors import CheckpointError

ONE, FEW, MANY = 10**6, 400, 200


def read(folder: Path) -> dict[str, Tensor]:
    entries = WeightFiles.open(folder).entries
    return {name: load_file(entry.file.path)[name] for name, entry in entries.items()}


@given(seed=st.integers(0, 9), limit=st.sampled_from([1, MANY, FEW, ONE]))
def test_what_is_saved_is_read_back(tmp_path_factory: pytest.TempPathFactory, seed: int, limit: int) -> None:
    folder = tmp_path_factory.mktemp("save")
    theirs = official(seed=seed)
    save(KEYMAP.to_theirs(KEYMAP.from_theirs(theirs)), folder / "new" / "folder", max_shard_size=limit)
    assert same(read(folder / "new" / "folder"), theirs)


def test_all_dtypes_views_and_empty_tensors_are_saved(tmp_path: Path) -> None:
    numbers = torch.arange(12).reshape(3, 4)
    tensors = {name: numbers.to(dtype) for name, dtype in DTYPES.items()}
    tensors |= {"transposed": numbers.T, "expanded": torch.ones(1).expand(5), "scalar": torch.tensor(2.0)}
    tensors |= {"empty": torch.empty(0, 3), "parameter": torch.nn.Parameter(torch.ones(3))[1:]}
    save(tensors, tmp_path)
    there = load_file(tmp_path / "model.safetensors")
    bits = {name: tensor.contiguous().reshape(-1).view(torch.uint8) for name, tensor in tensors.items()}
    assert same({name: tensor.reshape(-1).view(torch.uint8) for name, tensor in there.items()}, bits)
    assert all(there[name].shape == tensor.shape for name, tensor in tensors.items())


def test_shards_keep_the_limit_and_the_index_lists_them_all(tmp_path: Path) -> None:
    theirs = official()
    save(theirs, tmp_path, max_shard_size=FEW)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in theirs.values())
    shards = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert shards == [f"model-{i:05}-of-{len(shards):05}.safetensors" for i in range(1, len(shards) + 1)]
    assert {name: file for file in shards for name in load_file(tmp_path / file)} == index["weight_map"]
    assert len(shards) > 1
    assert all(sum(t.nbytes for t in load_file(tmp_path / file).values()) <= FEW for file in shards)


def test_every_tensor_is_aligned_and_the_metadata_is_there(tmp_path: Path) -> None:
    save({"b": torch.ones(3, dtype=torch.bool), "h": torch.ones(3).half(), "d": torch.ones(3).double()}, tmp_path)
    entries = WeightFiles.open(tmp_path).entries.values()
    assert all(entry.start % entry.dtype.itemsize == 0 for entry in entries)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    save({"a": torch.ones(1)}, tmp_path, metadata={"format": "pt", "step": "3"})
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "step": "3"}


def test_a_model_mapped_from_the_folder_can_be_saved_into_it(tmp_path: Path) -> None:
    save(official(), tmp_path)
    module = on_meta(official())
    load_into(module, WeightFiles.open(tmp_path), KEYMAP)
    with torch.no_grad():
        for tensor in named_tensors(module).values():
            tensor += 1
    for limit in (ONE, MANY, MANY, ONE):
        save(KEYMAP.to_theirs(named_tensors(module)), tmp_path, max_shard_size=limit)
        expected = {name: tensor + 1 for name, tensor in official().items()}
        assert same(read(tmp_path), expected)
        assert same(KEYMAP.to_theirs(named_tensors(module)), expected)


def test_files_of_an_earlier_save_go_and_others_stay(tmp_path: Path) -> None:
    others = {"config.json", "adapter.safetensors", "model.safetensors.md", "model-extra.safetensors"}
    for name in others:
        (tmp_path / name).write_text("{}")
    for limit in (MANY, FEW, ONE, FEW):
        save(official(), tmp_path, max_shard_size=limit)
        there = {path.name for path in tmp_path.iterdir()} - others
        used = {entry.file.path.name for entry in WeightFiles.open(tmp_path).entries.values()}
        assert there == used | ({"model.safetensors.index.json"} if limit != ONE else set())
    assert others <= {path.name for path in tmp_path.iterdir()}


class Interruption(BaseException):
    """Stands for a process that ends here."""


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the `step`-th system call that changes a name fail, and all after it: a dead process cleans nothing up."""
    calls = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > step:
                raise Interruption
            return original(*args, **options)

        return call

    for name in ("replace", "link", "unlink"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))


@pytest.mark.parametrize("before", [ONE, FEW, MANY])
@pytest.mark.parametrize("after", [ONE, FEW, MANY])
def test_an_interruption_anywhere_leaves_the_old_or_the_new_checkpoint(
    tmp_path: Path, before: int, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # time; the order of the calls is what counts
    old, new, newest = official(seed=1), official(seed=2), official(seed=3)
    seen = set()
    for step in range(200):
        folder = tmp_path / str(step)
        save(old, folder, max_shard_size=before)
        with monkeypatch.context() as patch:
            interrupt_at(step, patch)
            try:
                save(new, folder, max_shard_size=after)
                finished = True
            except Interruption:
                finished = False
        there = read(folder)
        assert same(there, old) or same(there, new)
        seen.add(same(there, new))
        save(newest, folder, max_shard_size=after)
        assert same(read(folder), newest)
        assert not [path.name for path in folder.iterdir() if path.name.startswith(".") or "previous" in path.name]
        if finished:
            break
    assert finished
    assert seen == {False, True}


@pytest.mark.parametrize("limit", [ONE, MANY])
def test_a_full_disk_leaves_the_old_checkpoint_and_no_rubbish(tmp_path: Path, limit: int) -> None:
    save(official(), tmp_path, max_shard_size=limit)
    names = sorted(path.name for path in tmp_path.iterdir())
    bigger = official(width=400)
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, hard))
    try:
        with pytest.raises(CheckpointError, match="cannot be written") as caught:
            save(bigger, tmp_path, max_shard_size=limit)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "stays as it was" in str(caught.value)
    assert same(read(tmp_path), official())
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_a_broken_checkpoint_can_be_saved_over(tmp_path: Path) -> None:
    save(official(), tmp_path, max_shard_size=MANY)
    next(tmp_path.glob("model-00002*")).unlink()
    save(official(seed=1), tmp_path, max_shard_size=MANY)
    assert same(read(tmp_path), official(seed=1))
    (tmp_path / "model.safetensors.index.json").write_text("{")
    save(official(seed=2), tmp_path, max_shard_size=MANY)
    assert same(read(tmp_path), official(seed=2))


@pytest.mark.parametrize(
    ("tensor", "name", "problem"),
    [
        (torch.ones(1, dtype=torch.complex64), "a", "complex64"),
        (torch.ones(1, device="meta"), "a", "holds no numbers"),
        (torch.ones(2).to_sparse(), "a", "sparse"),
        (torch.ones(1), "__metadata__", "name"),
    ],
)
def test_tensors_that_cannot_be_stored_are_refused_before_anything_is_written(
    tmp_path: Path, tensor: Tensor, name: str, problem: str
) -> None:
    with pytest.raises(CheckpointError, match=problem):
        save({"fine": torch.ones(1), name: tensor}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save({"a": torch.ones(1)}, tmp_path / "file")


@pytest.mark.parametrize(
    ("size", "count"),
    [("4GB", 4 * 10**9), ("500MB", 5 * 10**8), ("2GiB", 2**31), ("1.5 kb", 1500), ("7B", 7), (12, 12), ("1TiB", 2**40)],
)
def test_sizes_are_decimal_unless_they_say_binary(size: int | str, count: int) -> None:
    assert parse_size(size) == count


@pytest.mark.parametrize("size", ["", "4", "GB", "-1GB", "4GX", "0MB", "iB", "3iB", "1e3MB", 0, -5, True, 2.5, None])
def test_other_sizes_are_refused(size: Any) -> None:
    with pytest.raises(CheckpointError, match="size"):
        parse_size(size)


def test_tied_names_are_the_callers_to_decide(tmp_path: Path) -> None:
    weight = torch.ones(2)
    save({"embed": weight, "head": weight}, tmp_path)
    keymap = KeyMap([Rule("head", None), Rule("embed", "embed")])
    assert list(keymap.from_theirs(read(tmp_path))) == ["embed"]
