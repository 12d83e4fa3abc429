"""Laws of single files: complete or not there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlkit.checkpoint import write_json
from vlkit.checkpoint.atomic import stage
from vlkit.errors import CheckpointError

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


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json cannot be written"):
        write_json(tmp_path / "nowhere" / "config.json", {})
