"""Laws of headers: what we write the reference reads, what it writes we read, and no damage goes unnoticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save_file

from tests.checkpoint.small import official
from vlkit.checkpoint.header import DTYPES, read_header, read_metadata, render_header
from vlkit.errors import CheckpointError


def write(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_the_header_of_the_reference_is_read(tmp_path: Path) -> None:
    tensors = {name: torch.ones(3, 2).to(dtype) for name, dtype in DTYPES.items()} | {"scalar": torch.tensor(1.5)}
    save_file(tensors, tmp_path / "m.safetensors", metadata={"format": "pt"})
    entries = read_header(tmp_path / "m.safetensors")
    data = (tmp_path / "m.safetensors").read_bytes()
    assert entries.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert (entries[name].dtype, entries[name].shape) == (tensor.dtype, tuple(tensor.shape))
        there = torch.frombuffer(bytearray(data[entries[name].start : entries[name].stop]), dtype=tensor.dtype)
        assert torch.equal(there.view(torch.uint8), tensor.reshape(-1).view(torch.uint8))


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from(list(DTYPES)), st.lists(st.integers(0, 3), max_size=3)),
        max_size=4,
    ),
    st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
)
def test_the_reference_reads_our_headers(tensors: dict[str, tuple[str, list[int]]], metadata: dict[str, str]) -> None:
    sized = {name: (DTYPES[dtype], tuple(shape)) for name, (dtype, shape) in tensors.items()}
    header = render_header(sized, metadata)
    assert len(header) % 8 == 0
    size = sum(dtype.itemsize * torch.Size(shape).numel() for dtype, shape in sized.values())
    read = load(header + bytes(size))
    assert {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in read.items()} == sized


@given(st.none() | st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2))
def test_what_a_file_says_about_itself_is_read(
    tmp_path_factory: pytest.TempPathFactory, metadata: dict[str, str] | None
) -> None:
    path = tmp_path_factory.mktemp("header") / "m.safetensors"
    save_file({"a": torch.zeros(2)}, path, metadata=metadata)
    assert read_metadata(path) == (metadata or {})
    write(path, {"__metadata__": {"number": 3}})
    with pytest.raises(CheckpointError, match="its metadata are no texts"):
        read_metadata(path)


@given(cut=st.integers(1, 400))
def test_a_file_cut_off_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "m.safetensors"
    save_file({"a": torch.arange(20.0), "b": torch.arange(3)}, path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(CheckpointError, match=r"m\.safetensors is damaged"):
        read_header(path)


@given(position=st.integers(0, 2000), value=st.integers(0, 255))
def test_a_changed_byte_is_refused_or_leaves_all_tensors_inside_the_file(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    path = tmp_path_factory.mktemp("flip") / "m.safetensors"
    save_file(official(layers=1), path)
    data = bytearray(path.read_bytes())
    data[position % len(data)] = value
    path.write_bytes(data)
    try:
        entries = read_header(path).values()
    except CheckpointError:
        return
    assert sum(each.nbytes for each in entries) < len(data)
    assert all(8 <= each.start <= each.stop <= len(data) for each in entries)


@pytest.mark.parametrize(
    ("header", "data", "problem"),
    [
        (b"{nonsense", b"", "not JSON"),
        (b"\xff\xfe{\x00}\x00", b"", "not JSON"),
        (b"[" * 100_000, b"", "not JSON"),
        (b"[]", b"", "is a list"),
        (b'{"a": {}, "a": {}}', b"", "occurs twice"),
        ({"a": {"dtype": "F32", "shape": [2]}}, bytes(8), "not described"),
        ({"a": 3}, b"", "not described"),
        ({"a": entry("F3")}, bytes(8), "dtype 'F3'"),
        ({"a": entry(["F32"])}, bytes(8), "dtype"),  # type: ignore[arg-type]
        ({"a": entry(shape=[-2])}, bytes(8), "whole numbers"),
        ({"a": entry(shape=[True, 2])}, bytes(8), "whole numbers"),
        ({"a": entry(shape=[2.0])}, bytes(8), "whole numbers"),
        ({"a": entry(shape=[1] * 99 + [2])}, bytes(8), "whole numbers"),
        ({"a": entry(offsets=[0, 8, 8])}, bytes(8), "whole numbers"),
        ({"a": entry(shape=[3])}, bytes(8), "takes 8 bytes"),
        ({"a": entry(shape=[2**40, 2**40])}, bytes(8), "takes 8 bytes"),
        ({"a": entry(offsets=[8, 0])}, bytes(8), "takes -8 bytes"),
        ({"a": entry(), "b": entry(offsets=[4, 12])}, bytes(12), "'b' begins"),
        ({"a": entry(), "b": entry(offsets=[12, 20])}, bytes(20), "'b' begins"),
        ({"a": entry()}, bytes(9), "the file at"),
        ({"a" * 2000: entry()}, bytes(8), "2000 characters"),
    ],
)
def test_headers_that_do_not_describe_the_file_are_refused(
    tmp_path: Path, header: Any, data: bytes, problem: str
) -> None:
    path = write(tmp_path / "m.safetensors", header, data)
    with pytest.raises(CheckpointError, match=problem) as caught:
        read_header(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\x01\x00", (2**63).to_bytes(8, "little"), (9).to_bytes(8, "little") + b"{}"])
def test_an_absurd_header_length_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match="announces a header"):
        read_header(tmp_path / "m.safetensors")


def test_a_file_that_changed_since_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    file = read_header(path)["a"].file
    file.open().close()
    save_file({"a": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="has changed"):
        file.open()
    path.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        file.open()
