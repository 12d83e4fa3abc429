"""Small files: bounded reading, and writing that leaves a whole file or the old one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlkit.errors import CheckpointError
from vlkit.files import read_json, read_text, stage, write_json, write_text

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aé｜\n"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, data: object) -> None:
    path = tmp_path_factory.mktemp("json") / "config.json"
    write_json(path, data)
    assert json.loads(path.read_text(encoding="utf-8")) == data


def test_what_cannot_be_written_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.json"
    write_json(path, {"old": True})
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"new": float("nan")})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        write_json(path, {"new": True})
    assert json.loads(path.read_text()) == {"old": True}
    assert [each.name for each in tmp_path.iterdir()] == ["config.json"]


def test_a_staged_file_is_beside_its_place_and_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    temporary = stage(tmp_path / "a.bin", [b"12", memoryview(b"34")])
    assert temporary.parent == tmp_path
    assert temporary.name.startswith(".a.bin.")
    assert temporary.read_bytes() == b"1234"
    assert temporary.stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert not (tmp_path / "a.bin").exists()


def test_folders_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"b": "请", "a": [1, 2.5, None]})
    assert read_json(path) == {"a": [1, 2.5, None], "b": "请"}
    write_text(path, "x\n")
    assert read_text(path) == "x\n"
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


def test_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_unwritable_places_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_text(tmp_path / "file" / "a.json", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_text(tmp_path / "folder", "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_only_small_whole_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(CheckpointError, match="not there"):
        read_json(path)
    with pytest.raises(CheckpointError, match="not there"):
        read_text(tmp_path)
    path.write_text("x" * 11)
    assert read_text(path, limit=11) == "x" * 11
    with pytest.raises(CheckpointError, match="longer than 10 bytes"):
        read_text(path, limit=10)
    for damaged in (b"", b"{", b"[1]", b"\xff", b"[" * 200_000, b'{"a":' * 200_000):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            read_json(path)
