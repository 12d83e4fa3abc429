"""A folder of safetensors files: one file, or shards with an index."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from vlkit.checkpoint.header import Entry, read_header
from vlkit.checkpoint.rules import Shape
from vlkit.errors import CheckpointError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl"})
MAX_INDEX_BYTES = 100_000_000


@dataclass(frozen=True)
class WeightFiles:
    """The tensors of a checkpoint folder, known by the headers of its files.

    Args:
        folder: where the files lie.
        entries: dtype, shape, file and byte range by official name.
    """

    folder: Path
    entries: dict[str, Entry]

    @classmethod
    def open(cls, folder: str | Path) -> WeightFiles:
        """Read the headers of `model.safetensors`, or else of the shards in `model.safetensors.index.json`.

        Raises:
            CheckpointError: if there are no such files, or one is missing, damaged, or at odds with the index.
        """
        folder = Path(folder)
        if (folder / SINGLE).is_file():
            return cls(folder, read_header(folder / SINGLE))
        if (folder / INDEX).is_file():
            return cls(folder, _read_shards(folder / INDEX))
        raise _nothing_in(folder)

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shapes by official name."""
        return {name: entry.shape for name, entry in self.entries.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(entry.nbytes for entry in self.entries.values())


def read_index(path: Path) -> dict[str, str]:
    """File names by tensor name, from an index file; a file name is that of a neighbour of the index.

    Raises:
        CheckpointError: if the index is malformed or names a file outside of its folder.
    """
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise ValueError(f"it is larger than {MAX_INDEX_BYTES} bytes")
        weight_map = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        if not all(isinstance(file, str) for file in weight_map.values()):
            raise TypeError("a file name is not a string")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is malformed: {type(error).__name__}: {error}",
            rule='an index is {"weight_map": {tensor name: file name}}',
            remedy="fetch the file again",
        ) from None
    for name, file in weight_map.items():
        if not file.endswith(".safetensors") or any(sign in file for sign in "/\\:\0"):
            raise CheckpointError(
                f"{path} says that {name[:200]!r} is in {file[:200]!r}",
                rule="shards are .safetensors files in the folder of the index",
                remedy="do not use this checkpoint unless you know why it points elsewhere",
            )
    return dict(weight_map)


def _read_shards(index: Path) -> dict[str, Entry]:
    file_of = read_index(index)
    entries: dict[str, Entry] = {}
    for file in sorted(set(file_of.values())):
        path = index.parent / file
        if not path.is_file():
            raise CheckpointError(
                f"{path} is missing", rule=f"{index} names it", remedy="fetch the file, or all of them again"
            )
        for name, entry in read_header(path).items():
            if file_of.get(name) != file:
                raise CheckpointError(
                    f"{path} holds {name!r}, which {index} "
                    + (f"puts in {file_of[name]!r}" if name in file_of else "does not list"),
                    rule="an index lists every tensor of its shards, each in one shard",
                    remedy="remove shards of another save, or fetch the index again",
                )
            entries[name] = entry
    for name, file in file_of.items():
        if name not in entries:
            raise CheckpointError(
                f"{index.parent / file} lacks {name[:200]!r}",
                rule=f"{index} says that it is there",
                remedy="fetch both files again",
            )
    return entries


def _nothing_in(folder: Path) -> CheckpointError:
    if not folder.is_dir():
        return CheckpointError(f"{folder} is not a folder", remedy="give the folder that holds config.json and weights")
    there = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES | {".safetensors"})
    if any(Path(name).suffix in PICKLES for name in there):
        return CheckpointError(
            f"{folder} has weights as pickle only: {', '.join(there[:5])}",
            rule="pickles are never loaded: they can run any code",
            remedy="take the checkpoint's safetensors files, or convert it where you trust it: "
            "safetensors.torch.save_file(torch.load(file, weights_only=True), 'model.safetensors')",
        )
    return CheckpointError(
        f"{folder} has no weights" + (f", but {', '.join(there[:5])}" if there else ""),
        rule=f"weights are in {SINGLE}, or in shards that {INDEX} lists",
        remedy="fetch the weights too, or rename the file",
    )
