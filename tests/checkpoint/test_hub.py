"""Laws of finding a checkpoint: folders first, JSON and safetensors only, and errors that say what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors

from vlkit.checkpoint import resolve_folder
from vlkit.errors import CheckpointError


class Hub:
    """Stands for the client: notes the call and gives a folder or an error."""

    def __init__(self, outcome: Path | Exception) -> None:
        self.outcome, self.calls = outcome, list[tuple[str, dict[str, Any]]]()

    def __call__(self, repo_id: str, **options: Any) -> str:
        self.calls.append((repo_id, options))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return str(self.outcome)


def answer(monkeypatch: pytest.MonkeyPatch, outcome: Path | Exception) -> Hub:
    hub = Hub(outcome)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    return hub


def http(kind: type[Exception]) -> Exception:
    """Error of the client without the response that its constructor wants."""
    error = kind.__new__(kind)
    error.args = ("told by the server",)
    return error


def test_an_existing_folder_is_itself_even_if_it_looks_like_a_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = answer(monkeypatch, AssertionError())
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert resolve_folder("owner/name") == Path("owner/name")
    assert resolve_folder(tmp_path / "owner") == tmp_path / "owner"
    assert hub.calls == []


@pytest.mark.parametrize("weights", [True, False])
def test_the_hub_is_asked_for_json_and_safetensors_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: bool
) -> None:
    hub = answer(monkeypatch, tmp_path)
    assert resolve_folder("owner/name", revision="v1", weights=weights) == tmp_path
    [(repo_id, options)] = hub.calls
    assert (repo_id, options["revision"]) == ("owner/name", "v1")

    def wanted(file: str) -> bool:
        taken = any(fnmatch(file, pattern) for pattern in options["allow_patterns"])
        return taken and not any(fnmatch(file, pattern) for pattern in options["ignore_patterns"])

    assert all(map(wanted, ["config.json", "tokenizer.json", "model.safetensors.index.json"]))
    assert wanted("model-00001-of-00002.safetensors") == weights
    assert not any(map(wanted, ["pytorch_model.bin", "modeling.py", "weights.pt", "x/model.safetensors", "x/a.json"]))


@pytest.mark.parametrize(
    ("error", "problem", "remedy"),
    [
        (http(errors.GatedRepoError), "terms", "https://huggingface.co/owner/name"),
        (http(errors.RevisionNotFoundError), "revision 'v1' does not exist", "another revision"),
        (http(errors.RepositoryNotFoundError), "neither a folder", "spelling"),
        (errors.LocalEntryNotFoundError("told by the client"), "cannot be reached: told by the client", "network"),
        (errors.HFValidationError("told by the client"), "is not a hub id", "owner/name"),
        (ConnectionResetError("told by the system"), "ConnectionResetError: told by the system", "try again"),
        (RuntimeError("told by the transfer"), "RuntimeError: told by the transfer", "try again"),
    ],
)
def test_errors_of_the_hub_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, error: Exception, problem: str, remedy: str
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    answer(monkeypatch, error)
    with pytest.raises(CheckpointError) as caught:
        resolve_folder("owner/name", revision="v1")
    assert problem in caught.value.problem
    assert remedy in str(caught.value.remedy)


def test_a_misspelt_folder_that_looks_like_a_hub_id_gets_its_neighbours_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkpoints" / "deepseek-vl2-tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    answer(monkeypatch, http(errors.RepositoryNotFoundError))
    with pytest.raises(CheckpointError, match=r"near: 'checkpoints.deepseek-vl2-tiny'"):
        resolve_folder("checkpoints/deepseek-vl2-tny")


@pytest.mark.parametrize("name", ["tiny", "../owner/name", "a/b/c", "owner/", "/name", "owner/na me", "owner/.."])
def test_what_is_no_hub_id_is_never_sent_to_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    hub = answer(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="there is no folder"):
        resolve_folder(name)
    assert hub.calls == []


def test_a_missing_folder_gets_its_neighbours_named_and_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vl2-tiny").mkdir()
    with pytest.raises(CheckpointError, match=r"near: '.*vl2-tiny'"):
        resolve_folder(tmp_path / "vl2-tny")
    (tmp_path / "model.safetensors").write_text("")
    with pytest.raises(CheckpointError, match="is a file"):
        resolve_folder(tmp_path / "model.safetensors")


def in_a_new_process(code: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return result.stdout


def test_offline_and_not_cached_is_told_without_the_network(tmp_path: Path) -> None:
    code = """
from vlkit.checkpoint import resolve_folder
from vlkit.errors import CheckpointError
try:
    resolve_folder("owner/name")
except CheckpointError as error:
    print(error)
"""
    told = in_a_new_process(code, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    assert "HF_HUB_OFFLINE is set" in told
    assert "unset HF_HUB_OFFLINE" in told


def test_offline_and_cached_gives_the_snapshot(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--owner--name"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    code = 'from vlkit.checkpoint import resolve_folder; print(resolve_folder("owner/name", weights=False))'
    assert in_a_new_process(code, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path)).strip() == str(snapshot)


def test_importing_the_checkpoint_layer_loads_no_hub_client() -> None:
    assert in_a_new_process("import sys, vlkit.checkpoint; print('huggingface_hub' in sys.modules)").strip() == "False"
