"""Laws of reading: an entry's numbers, the same whether mapped or read, and clear words when the file gives out."""

from __future__ import annotations

import mmap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from vlkit.checkpoint.header import Entry, read_header
from vlkit.checkpoint.reading import MappedFile, read_into
from vlkit.errors import CheckpointError


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    save_file({"first": torch.zeros(3), "a": torch.arange(12.0).view(3, 4)}, tmp_path / "m.safetensors")
    return read_header(tmp_path / "m.safetensors")["a"]


def test_mapped_and_read_numbers_are_the_same(entry: Entry) -> None:
    read = torch.empty(12)
    read_into(entry, read)
    assert torch.equal(read, torch.arange(12.0))
    assert torch.equal(MappedFile(entry.file).tensor(entry), read.view(3, 4))


def test_a_mapped_tensor_outlives_the_name_of_its_file(entry: Entry) -> None:
    tensor = MappedFile(entry.file).tensor(entry)
    entry.file.path.unlink()
    assert torch.equal(tensor.view(-1), torch.arange(12.0))


def test_a_file_that_ends_too_early_is_named(entry: Entry) -> None:
    with pytest.raises(CheckpointError, match=r"m\.safetensors ended while it was read"):
        read_into(replace(entry, start=entry.start + 16, stop=entry.stop + 16), torch.empty(12))


def test_a_file_that_cannot_be_mapped_is_named(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise OSError(19, "No such device")

    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(CheckpointError, match="cannot be mapped: No such device"):
        MappedFile(entry.file)
