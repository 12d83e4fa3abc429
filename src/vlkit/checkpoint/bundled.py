"""Models that come inside the package, by name: no download, no network."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from vlkit.errors import CheckpointError

BUNDLED: tuple[str, ...] = ("vlkit-reader",)
"""Names of these models; each stands wherever a folder of a checkpoint or a hub id does."""


def bundled_folder(name: str | Path) -> Path | None:
    """Folder of a model that comes with vlkit; None if none is called that.

    A folder of that name in the current directory wins, as it wins over a hub id. A `Path` is never a name.

    Raises:
        CheckpointError: if its files are not where the package lies.
    """
    if not isinstance(name, str) or name not in BUNDLED or Path(name).is_dir():
        return None
    folder = files("vlkit") / "assets" / name
    if isinstance(folder, Path) and folder.is_dir():
        return folder
    raise CheckpointError(
        f"{name!r} is missing from this installation: there is no folder {str(folder)!r}",
        rule="weights are read from files, so the package lies unpacked on the disk",
        remedy="install vlkit again with pip",
    )


def holds_weights(name: str | Path) -> bool:
    """Whether this is a folder with weights, or the name of a model that comes with vlkit."""
    return any((bundled_folder(name) or Path(name)).glob("*.safetensors"))


def require_no_revision(name: str, revision: str | None) -> None:
    """Refuse a revision of a model that comes with vlkit.

    Raises:
        CheckpointError: if one is given.
    """
    if revision is not None:
        raise CheckpointError(
            f"{name!r} at revision {revision!r:.80}",
            rule="what comes with vlkit has one version, that of the package",
            remedy="leave the revision out, or give a hub id owner/name",
        )
