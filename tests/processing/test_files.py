"""Small files: bounded reading, and writing that leaves no half file."""

from pathlib import Path

import pytest

from vlkit.errors import CheckpointError, InputError
from vlkit.processing.files import read_json, read_text, write_json, write_text


def test_what_is_written_is_read(tmp_path: Path) -> None:
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
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "file" / "a.json", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
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
