"""Saving: official tensors to one safetensors file or to shards, without losing what was there before."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from vlkit.checkpoint.files import INDEX, SINGLE, read_index
from vlkit.checkpoint.header import DTYPES, MAX_NAME_LENGTH, render_header
from vlkit.errors import CheckpointError
from vlkit.files import explained, stage, sync_folder, write_json

CHUNK_BYTES = 1 << 26
UNITS = {unit: 1000**i for i, unit in enumerate(["b", "kb", "mb", "gb", "tb"])} | {
    unit: 1024**i for i, unit in enumerate(["kib", "mib", "gib", "tib"], start=1)
}
SHARD = re.compile(r"model-\d+-of-\d+(\.previous)?\.safetensors")


def save(
    tensors: Mapping[str, Tensor],
    folder: str | Path,
    *,
    max_shard_size: int | str = "4GB",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write tensors to `folder`, as `model.safetensors` or as shards with an index.

    Whatever happens on the way, the folder holds the previous checkpoint or the new one. A model that is mapped from
    the folder stays valid. Memory: one chunk; views are not copied first.

    Args:
        tensors: by official name, on any device; views are fine.
        folder: made if it does not exist.
        max_shard_size: bytes, or a text such as "4GB" (10^9) or "2GiB" (2^30); a larger tensor gets a shard of its own.
        metadata: texts for the header of each file; `{"format": "pt"}` if None.

    Raises:
        CheckpointError: if a tensor cannot be stored, the size is malformed, or the files cannot be written.
    """
    folder = Path(folder)
    limit = parse_size(max_shard_size)
    for name, tensor in tensors.items():
        _check(name, tensor)
    shards = _split(tensors, limit)
    names = [f"model-{i:05}-of-{len(shards):05}.safetensors" for i in range(1, len(shards) + 1)]
    if len(shards) == 1:
        names = [SINGLE]
    staged: dict[str, Path] = {}
    with explained(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, shard in zip(names, shards):
                staged[name] = stage(folder / name, _file_chunks(shard, metadata or {"format": "pt"}))
            _keep_readable(folder, names)
            for name, temporary in staged.items():
                os.replace(temporary, folder / name)  # noqa: PTH105
            sync_folder(folder)
            if names != [SINGLE]:
                weight_map = {key: name for name, shard in zip(names, shards) for key in shard}
                total = sum(tensor.nbytes for tensor in tensors.values())
                write_json(
                    folder / INDEX,
                    {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))},
                )
            _remove_stale(folder, names)
        finally:
            for temporary in staged.values():
                temporary.unlink(missing_ok=True)


def parse_size(size: int | str) -> int:
    """Bytes meant by a number of bytes or a text such as "4GB", "500MB" or "2GiB".

    Raises:
        CheckpointError: if `size` is neither, or less than a byte.
    """
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([kmgt]?i?b)\s*", str(size).lower(), re.ASCII)
    count = 0
    if isinstance(size, int) and not isinstance(size, bool):
        count = size
    elif isinstance(size, str) and found and found[2] in UNITS:
        count = int(float(found[1]) * UNITS[found[2]])
    if count < 1:
        raise CheckpointError(
            f"the size {size!r} is not known",
            rule="a size is a number of bytes, or a number with B, KB, MB, GB, TB, KiB, MiB, GiB or TiB",
            remedy='for instance "4GB"',
        )
    return count


def _check(name: str, tensor: Tensor) -> None:
    problem = None
    if tensor.dtype not in DTYPES.values():
        problem = f"is {tensor.dtype}"
    elif tensor.layout != torch.strided or tensor.is_meta:
        problem = "holds no numbers" if tensor.is_meta else f"is {tensor.layout}"
    elif name == "__metadata__" or len(name) > MAX_NAME_LENGTH:
        problem = "has a name that the file format does not allow"
    if problem:
        raise CheckpointError(
            f"{name[:200]!r} cannot be saved: it {problem}",
            rule=f"files hold dense tensors of the dtypes {', '.join(DTYPES)}",
        )


def _split(tensors: Mapping[str, Tensor], limit: int) -> list[dict[str, Tensor]]:
    shards: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name, tensor in tensors.items():
        if shards[-1] and filled + tensor.nbytes > limit:
            shards.append({})
            filled = 0
        shards[-1][name] = tensor
        filled += tensor.nbytes
    return shards


def _file_chunks(shard: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    ordered = dict(sorted(shard.items(), key=lambda item: -item[1].dtype.itemsize))  # aligns each tensor to its dtype
    yield render_header({name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in ordered.items()}, metadata)
    for tensor in ordered.values():
        flat = tensor.detach().reshape(-1)
        for piece in flat.split(CHUNK_BYTES // tensor.dtype.itemsize):
            yield piece.cpu().contiguous().view(torch.uint8).numpy().data


def _keep_readable(folder: Path, names: list[str]) -> None:
    """Let the old index point to second links of the shards that are about to be replaced."""
    if names == [SINGLE] or not (folder / INDEX).is_file():
        return
    try:
        weight_map = read_index(folder / INDEX)
    except CheckpointError:
        return  # no checkpoint that could be lost
    replaced = [file for file in set(weight_map.values()).intersection(names) if (folder / file).is_file()]
    kept = {file: file.replace(".safetensors", ".previous.safetensors") for file in replaced}
    for file, link in kept.items():
        (folder / link).unlink(missing_ok=True)
        os.link(folder / file, folder / link)
    if kept:
        write_json(folder / INDEX, {"weight_map": {name: kept.get(file, file) for name, file in weight_map.items()}})


def _remove_stale(folder: Path, names: list[str]) -> None:
    if names == [SINGLE]:
        (folder / INDEX).unlink(missing_ok=True)
    else:
        (folder / SINGLE).unlink(missing_ok=True)
    for path in folder.glob("model-*.safetensors"):
        if path.name not in names and SHARD.fullmatch(path.name):
            path.unlink()
    for path in folder.glob(".model*.safetensors.*.tmp"):
        path.unlink(missing_ok=True)
