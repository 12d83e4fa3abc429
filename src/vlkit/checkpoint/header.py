"""Headers of safetensors files: what a file holds, known and checked without reading a tensor.

Format: eight bytes of length (little-endian), that many bytes of JSON, then the tensors' bytes without gaps.
Source: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import torch

from vlkit.checkpoint.rules import Shape
from vlkit.errors import CheckpointError

DTYPES: dict[str, torch.dtype] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
"""Dtypes by the name that the file format gives them."""

MAX_HEADER_BYTES = 100_000_000
MAX_NAME_LENGTH = 1000


@dataclass(frozen=True)
class WeightFile:
    """A safetensors file as it was when its header was read.

    Args:
        path: where it lies.
        stamp: device, inode, size and time of change.
    """

    path: Path
    stamp: tuple[int, ...]

    def open(self) -> FileIO:
        """The file, unbuffered.

        Raises:
            CheckpointError: if it is gone or has changed since its header was read.
        """
        file = _open(self.path)
        if _stamp(file) != self.stamp:
            file.close()
            raise CheckpointError(f"{self.path} has changed since its header was read", remedy="open the folder again")
        return file


@dataclass(frozen=True)
class Entry:
    """One tensor in a file: `file[start:stop]` are its bytes, row by row."""

    file: WeightFile
    dtype: torch.dtype
    shape: Shape
    start: int
    stop: int

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.stop - self.start


def read_header(path: Path) -> dict[str, Entry]:
    """Tensors in a safetensors file, by name.

    Raises:
        CheckpointError: if the file is cut off, or its header is malformed or does not describe the file's bytes.
    """
    weights, header, end, size = _parse(path)
    header.pop("__metadata__", None)
    entries = {name: _entry(weights, name, fields, end) for name, fields in header.items()}
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.start != end:
            raise _damaged(path, f"{name!r} begins at byte {entry.start}, the tensor before it ends at {end}")
        end = entry.stop
    if end != size:
        raise _damaged(path, f"its tensors end at byte {end}, the file at {size}")
    return entries


def read_metadata(path: Path) -> dict[str, str]:
    """Texts that a safetensors file says about itself; empty if it says nothing.

    Raises:
        CheckpointError: if the file is cut off, or its header is malformed.
    """
    metadata = _parse(path)[1].get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise _damaged(path, "its metadata are no texts")
    return metadata


def render_header(tensors: Mapping[str, tuple[torch.dtype, Shape]], metadata: Mapping[str, str]) -> bytes:
    """First bytes of a safetensors file whose tensors follow in this order, padded to a multiple of eight."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": names[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _parse(path: Path) -> tuple[WeightFile, dict[str, Any], int, int]:
    """The file, its header, where that ends, and the file's size."""
    with _open(path) as file:
        weights, size = WeightFile(path, _stamp(file)), os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
            raise _damaged(path, f"it has {size} bytes and announces a header of {length}")
        text = file.read(length)
    try:
        header = json.loads(text.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its header is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise _damaged(path, f"its header is a {type(header).__name__}")
    return weights, header, 8 + length, size


def _entry(file: WeightFile, name: str, fields: Any, data_start: int) -> Entry:
    if len(name) > MAX_NAME_LENGTH:
        raise _damaged(file.path, f"a name has {len(name)} characters, {MAX_NAME_LENGTH} are allowed")
    if not isinstance(fields, dict) or fields.keys() != {"dtype", "shape", "data_offsets"}:
        raise _damaged(file.path, f"{name!r} is not described by dtype, shape and data_offsets")
    dtype = DTYPES.get(fields["dtype"]) if isinstance(fields["dtype"], str) else None
    if dtype is None:
        raise _damaged(
            file.path, f"{name!r} has the dtype {str(fields['dtype'])[:40]!r}, known are {', '.join(DTYPES)}"
        )
    shape, offsets = fields["shape"], fields["data_offsets"]
    if not (_are_counts(shape) and _are_counts(offsets) and len(offsets) == 2):
        raise _damaged(file.path, f"shape or data_offsets of {name!r} are not whole numbers from 0")
    start, stop = offsets
    if stop - start != math.prod(shape) * dtype.itemsize:
        raise _damaged(
            file.path, f"{name!r} takes {stop - start} bytes, its shape {shape} {math.prod(shape) * dtype.itemsize}"
        )
    return Entry(file, dtype, tuple(shape), data_start + start, data_start + stop)


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and len(values) <= 16 and all(type(v) is int and 0 <= v < 2**63 for v in values)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(mapping := dict(pairs)) < len(pairs):
        raise ValueError("a name occurs twice")
    return mapping


def _open(path: Path) -> FileIO:
    try:
        return path.open("rb", buffering=0)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None


def _stamp(file: FileIO) -> tuple[int, ...]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _damaged(path: Path, problem: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged: {problem}",
        rule="a safetensors file is a header and the bytes of the tensors that it lists, without gaps",
        remedy="fetch the file again",
    )
