"""Where a checkpoint lies: a folder, the package itself, or a repository of the Hugging Face hub, which is fetched."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from vlkit.checkpoint.bundled import BUNDLED, bundled_folder, require_no_revision
from vlkit.errors import CheckpointError

RULE = f"a checkpoint is a folder, a hub id owner/name, or {', '.join(BUNDLED)}, which comes with vlkit"
HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def resolve_folder(name_or_path: str | Path, *, revision: str | None = None, weights: bool = True) -> Path:
    """Folder of a checkpoint, fetched if need be: JSON files and, if wanted, safetensors; never pickles or code.

    An existing folder wins over a model that comes with vlkit and over a hub id of the same name. The hub's own
    settings hold: `HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE`.

    Args:
        name_or_path: a folder, the name of a model that comes with vlkit, or a hub id `owner/name`.
        revision: branch, tag or commit on the hub.
        weights: whether safetensors files are needed too.

    Raises:
        CheckpointError: if there is no such folder or repository, or it cannot be fetched; or if a revision is asked of
            a model that comes with vlkit.
    """
    bundled = bundled_folder(name_or_path)
    if bundled is not None:
        require_no_revision(str(name_or_path), revision)
        return bundled
    path = Path(name_or_path)
    if path.is_dir():
        return path
    if path.exists():
        raise CheckpointError(f"{path} is a file", rule="a checkpoint is a folder", remedy=f"try {str(path.parent)!r}")
    if isinstance(name_or_path, Path) or not HUB_ID.fullmatch(name_or_path):
        raise CheckpointError(
            f"there is no folder {str(name_or_path)!r}{_near(path)}",
            rule=RULE,
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
    raise CheckpointError(f"{shown} {problem}", rule=RULE, remedy=remedy)


def _near(path: Path) -> str:
    """Folders beside the missing one, and models that come with vlkit, with a name like its own."""
    known = {name: name for name in BUNDLED}
    if path.parent.is_dir():
        known |= {folder.name: str(path.parent / folder.name) for folder in path.parent.iterdir() if folder.is_dir()}
    near = difflib.get_close_matches(path.name, known, n=3)
    return f" (near: {', '.join(repr(known[name]) for name in near)})" if near else ""
