"""Laws of loading: every number arrives, whole tensors are mapped, and no change in memory reaches the file."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.checkpoint.small import KEYMAP, Holder, official, on_meta, same, sizes
from vlkit.checkpoint import KeyMap, Rule, WeightFiles, load_into, named_tensors, save
from vlkit.checkpoint.reading import MappedFile
from vlkit.errors import CheckpointError

PLAIN = KeyMap([Rule("{rest}", "{rest}")])
WHOLE = ("layout.newline", "encoder.position", "encoder.blocks.0.norm.weight", "embed.weight")
STACKED = "layers.0.experts.gate_up"


def stored(tensors: dict[str, Tensor], folder: Path) -> WeightFiles:
    save_file(tensors, folder / "model.safetensors")
    return WeightFiles.open(folder)


@pytest.fixture
def files(tmp_path: Path) -> WeightFiles:
    return stored(official(), tmp_path)


def loaded(files: WeightFiles, dtype: torch.dtype | None = None) -> Holder:
    module = on_meta(official())
    load_into(module, files, KEYMAP, dtype=dtype)
    return module


@given(
    size=sizes,
    there=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    wanted=st.sampled_from([None, torch.float32, torch.bfloat16]),
    limit=st.sampled_from([60, 10**6]),
)
def test_every_number_arrives_from_whole_and_sharded_files_in_the_wanted_dtype(
    tmp_path_factory: pytest.TempPathFactory,
    size: dict[str, int],
    there: torch.dtype,
    wanted: torch.dtype | None,
    limit: int,
) -> None:
    folder = tmp_path_factory.mktemp("checkpoint")
    theirs = official(**size, dtype=there)
    save(theirs, folder, max_shard_size=limit)
    module = on_meta(theirs)
    load_into(module, WeightFiles.open(folder), KEYMAP, dtype=wanted)
    read = {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}
    expected = {name: tensor.to(wanted or there) for name, tensor in KEYMAP.from_theirs(read).items()}
    assert same(named_tensors(module), expected)


def test_the_official_shards_arrive(golden: Path) -> None:
    folder = golden / "a4_mla_greedy_1d_head" / "sharded"
    tensors = {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}
    module = Holder({name: tensor.to("meta") for name, tensor in tensors.items()})
    load_into(module, WeightFiles.open(folder), PLAIN)
    assert same(named_tensors(module), tensors)


def test_conversion_in_several_chunks_is_the_same_as_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlkit.checkpoint.reading.CHUNK_BYTES", 16)
    theirs = official(width=7, hidden=5)
    module = on_meta(theirs)
    load_into(module, stored(theirs, tmp_path), KEYMAP, dtype=torch.bfloat16)
    expected = {name: tensor.bfloat16() for name, tensor in KEYMAP.from_theirs(theirs).items()}
    assert same(named_tensors(module), expected)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the list of mappings of the process")
def test_whole_tensors_lie_in_the_mapped_file_and_no_others(files: WeightFiles) -> None:
    module = loaded(files)
    path = str(files.folder / "model.safetensors")
    ranges = [
        tuple(int(end, 16) for end in line.split()[0].split("-"))
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith(path)
    ]
    mapped = {
        name
        for name, tensor in named_tensors(module).items()
        if any(start <= tensor.data_ptr() < stop for start, stop in ranges)
    }
    assert mapped == {*WHOLE, "encoder.scale", "layers.0.bias", "layers.1.bias"}


def test_training_in_place_does_not_reach_the_file(files: WeightFiles) -> None:
    before = (files.folder / "model.safetensors").read_bytes()
    module = loaded(files)
    optimizer = torch.optim.AdamW(module.parameters())
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert all(not torch.equal(p, q) for p, q in zip(module.parameters(), loaded(files).parameters()))
    assert (files.folder / "model.safetensors").read_bytes() == before


def test_a_copy_of_a_mapped_parameter_copies_no_more_than_itself(files: WeightFiles) -> None:
    parameter = named_tensors(loaded(files))["embed.weight"]
    assert parameter.untyped_storage().nbytes() == parameter.nbytes
    assert torch.equal(copy.deepcopy(parameter), parameter)


@given(shift=st.integers(0, 7))
def test_unaligned_tensors_arrive(tmp_path_factory: pytest.TempPathFactory, shift: int) -> None:
    tensors = {"a": torch.arange(shift, dtype=torch.uint8), "b": torch.arange(6.0), "c": torch.ones(2, 3).double()}
    folder = tmp_path_factory.mktemp("unaligned")
    header = {"a": ("U8", [shift], [0, shift]), "b": ("F32", [6], [shift, shift + 24])}
    header["c"] = ("F64", [2, 3], [shift + 24, shift + 72])
    text = str({k: dict(zip(("dtype", "shape", "data_offsets"), v)) for k, v in header.items()}).replace("'", '"')
    text += " " * (-len(text) % 8)
    data = b"".join(bytes(tensor.numpy()) for tensor in tensors.values())
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text.encode() + data)
    files = WeightFiles.open(folder)
    assert MappedFile.can_hold(files.entries["c"]) == (shift == 0)
    module = nn.Module()
    for name, tensor in tensors.items():
        module.register_buffer(name, tensor.to("meta"))
    load_into(module, files, PLAIN)
    assert same(named_tensors(module), tensors)


def test_flags_and_kinds_stay(files: WeightFiles) -> None:
    module = on_meta(official())
    module.get_submodule("embed").requires_grad_(False)
    load_into(module, files, KEYMAP)
    assert {name for name, parameter in module.named_parameters() if not parameter.requires_grad} == {"embed.weight"}
    assert {name for name, _ in module.named_buffers()} == {"layers.0.bias", "layers.1.bias"}


def test_tied_parameters_are_read_once_and_stay_tied(tmp_path: Path) -> None:
    files = stored({"embed.weight": torch.randn(3, 2)}, tmp_path)
    with torch.device("meta"):
        module = nn.ModuleDict({"embed": nn.Embedding(3, 2), "head": nn.Linear(2, 3, bias=False)})
    module["head"].weight = module["embed"].weight
    load_into(module, files, PLAIN)
    assert module["head"].weight is module["embed"].weight
    assert list(named_tensors(module)) == ["embed.weight"]


def test_loading_under_inference_mode_gives_trainable_parameters(files: WeightFiles) -> None:
    module = on_meta(official())
    with torch.inference_mode():
        load_into(module, files, KEYMAP, dtype=torch.float64)
    sum(parameter.sum() for parameter in module.parameters()).backward()  # type: ignore[union-attr]
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_progress_ends_at_the_whole_and_never_goes_back(files: WeightFiles) -> None:
    calls: list[tuple[int, int]] = []
    load_into(on_meta(official()), files, KEYMAP, dtype=torch.float16, progress=lambda *call: calls.append(call))
    assert calls[-1] == (files.nbytes, files.nbytes)
    assert calls == sorted(calls)
    assert len(calls) > 1


def test_progress_is_told_even_if_all_is_mapped(tmp_path: Path) -> None:
    files = stored({"weight": torch.ones(2)}, tmp_path)
    calls: list[tuple[int, int]] = []
    load_into(Holder({"weight": torch.ones(2).to("meta")}), files, PLAIN, progress=lambda *call: calls.append(call))
    assert calls == [(8, 8)]


def test_what_does_not_fit_is_refused_and_the_module_stays_on_meta(files: WeightFiles) -> None:
    module = on_meta(official(width=5))
    with pytest.raises(CheckpointError, match="of another shape"):
        load_into(module, files, KEYMAP)
    assert all(parameter.is_meta for parameter in module.parameters())


def test_dtypes_that_do_not_fit_are_refused(tmp_path: Path, files: WeightFiles) -> None:
    module = on_meta(official())
    with pytest.raises(CheckpointError, match=r"dtype is torch\.int8"):
        load_into(module, files, KEYMAP, dtype=torch.int8)
    theirs = official()
    name = "language.layers.0.mlp.experts.1.up.weight"
    mixed = stored(theirs | {name: theirs[name].bfloat16()}, tmp_path)
    with pytest.raises(CheckpointError, match="bfloat16, float32"):
        load_into(module, mixed, KEYMAP)
    load_into(module, mixed, KEYMAP, dtype=torch.float32)
    with pytest.raises(CheckpointError, match=r"'embed' is int64"):
        load_into(Holder({"embed": torch.ones(2).to("meta")}), stored({"embed": torch.ones(2).long()}, tmp_path), PLAIN)
    counter = Holder({"bias": torch.ones(2, dtype=torch.int32, device="meta")})
    with pytest.raises(CheckpointError, match=r"this buffer is torch\.int32"):
        load_into(counter, stored({"bias": torch.ones(2).long()}, tmp_path), PLAIN)


def test_a_buffer_that_no_checkpoint_fills_is_named(files: WeightFiles) -> None:
    module = on_meta(official())
    module.register_buffer("table", torch.empty(2, device="meta"), persistent=False)
    with pytest.raises(CheckpointError, match="'table' is on meta"):
        load_into(module, files, KEYMAP)


def test_a_module_that_does_not_take_its_numbers_is_named(files: WeightFiles) -> None:
    class Stubborn(Holder):
        def _load_from_state_dict(self, *args: Any) -> None:
            pass

    module = Stubborn({"image_newline": torch.ones(4, device="meta")})
    keymap = KeyMap([Rule("image_newline", "image_newline"), Rule("{rest}", None)])
    with pytest.raises(CheckpointError, match="'image_newline' is still on meta"):
        load_into(module, files, keymap)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory of the process")
def test_stacked_tensors_are_in_memory_once(tmp_path: Path) -> None:
    code = """
import re, sys, torch
from pathlib import Path
from tests.checkpoint.small import KEYMAP, official, on_meta
from vlkit.checkpoint import WeightFiles, load_into, save
files = WeightFiles.open(sys.argv[1])
module = on_meta({name: torch.empty(entry.shape, device="meta") for name, entry in files.entries.items()})
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
before = peak()
load_into(module, files, KEYMAP)
print((peak() - before) / files.nbytes)
"""
    save(official(layers=2, experts=8, hidden=1024, width=1024), tmp_path)
    root = Path(__file__).parents[2]
    told = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True, cwd=root)
    assert 0.5 < float(told.stdout) < 1.1


def test_a_file_that_changed_between_header_and_loading_is_refused(files: WeightFiles) -> None:
    save_file(official(seed=1), files.folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="has changed"):
        load_into(on_meta(official()), files, KEYMAP)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_every_number_arrives_on_a_device(files: WeightFiles) -> None:
    for dtype in (None, torch.bfloat16):
        module = on_meta(official())
        load_into(module, files, KEYMAP, device="cuda", dtype=dtype)
        assert all(tensor.is_cuda for tensor in named_tensors(module).values())
        on_cpu = {name: tensor.detach().cpu() for name, tensor in named_tensors(module).items()}
        assert same(on_cpu, dict(named_tensors(loaded(files, dtype))))
