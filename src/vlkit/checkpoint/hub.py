"""Where a checkpoint lies: a folder, or a repository of the Hugging Face hub that is fetched into its cache."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from vlkit.errors import CheckpointError

HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def resolve_folder(name_or_path: str | Path, *, revision: str | None = None, weights: bool = True) -> Path:
    """Folder of a checkpoint, fetched if need be: JSON files and, if wanted, safetensors; never pickles or code.

    An existing folder wins over a hub id of the same name. The hub's own settings hold: `HF_HOME`, `HF_TOKEN`,
    `HF_HUB_OFFLINE`.

    Args:
        name_or_path: a folder, or a hub id `owner/name`.
        revision: branch, tag or commit on the hub.
        weights: whether safetensors files are needed too.

    Raises:
        CheckpointError: if there is no such folder or repository, or it cannot be fetched.
    """
    path = Path(name_or_path)
    if path.is_dir():
        return path
    if path.exists():
        raise CheckpointError(f"{path} is a file", rule="a checkpoint is a folder", remedy=f"try {str(path.parent)!r}")
    if isinstance(name_or_path, Path) or not HUB_ID.fullmatch(name_or_path):
        raise CheckpointError(
            f"there is no folder {str(name_or_path)!r}{_near(path)}",
            rule="a checkpoint is a folder, or a hub id owner/name",
            remedy="check the path",
        )
    return _fetch(name_or_path, revision, weights)


def _fetch(hub_id: str, revision: str | None, weights: bool) -> Path:
    from huggingface_hub import constants, errors, snapshot_download

    shown = hub_id if revision is None else f"{hub_id} at revision {revision!r}"
    patterns = ["*.json", "*.safetensors"] if weights else ["*.json"]
    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=patterns, ignore_patterns=["*/*"]))
    except errors.GatedRepoError:
        problem, remedy = (
            "asks for its terms to be accepted",
            (f"accept them at https://huggingface.co/{hub_id}, then run `hf auth login` or set HF_TOKEN"),
        )
    except errors.RevisionNotFoundError:
        problem, remedy = "does not exist, but the repository does", "give another revision, or none"
    except errors.RepositoryNotFoundError:
        problem = f"is neither a folder{_near(Path(hub_id))} nor a repository that you can see"
        remedy = "check the spelling; for a private one run `hf auth login` or set HF_TOKEN"
    except errors.HFValidationError as error:
        problem, remedy = f"is not a hub id: {error}", "write owner/name"
    except errors.LocalEntryNotFoundError as error:
        if constants.HF_HUB_OFFLINE:
            problem, remedy = (
                "is not (or not wholly) in the cache, and HF_HUB_OFFLINE is set",
                ("unset HF_HUB_OFFLINE once to fetch it"),
            )
        else:
            problem, remedy = (
                f"is not (or not wholly) in the cache, and the hub cannot be reached: {error}",
                ("check the network, or give a folder"),
            )
    except Exception as error:  # the exceptions of a broken transfer differ between versions of the client
        problem, remedy = f"could not be fetched: {type(error).__name__}: {error}", "try again; what came is kept"
    raise CheckpointError(f"{shown} {problem}", rule="a checkpoint is a folder, or a hub id owner/name", remedy=remedy)


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    siblings = [sibling.name for sibling in path.parent.iterdir() if sibling.is_dir()]
    near = difflib.get_close_matches(path.name, siblings, n=3)
    return f" (near: {', '.join(repr(str(path.parent / name)) for name in near)})" if near else ""
