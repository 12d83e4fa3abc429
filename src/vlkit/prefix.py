"""The beginning of a prompt in one file: what a cache holds is saved once, and any process goes on from there.

The file is a safetensors file. It holds what the cache keeps, as it keeps it (codes and scales if it is quantized), so
that what goes on from the file goes on from the very same numbers.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from vlkit.cache.base import CachePolicyConfig, KVCache
from vlkit.cache.layer import Form
from vlkit.checkpoint.header import Entry, read_header, read_metadata, render_header
from vlkit.checkpoint.reading import read_into
from vlkit.config import Config, Count, Width
from vlkit.decoders.base import Decoder
from vlkit.errors import CheckpointError, ConfigError, InputError
from vlkit.files import explained, stage, sync_folder

KEY = "vlkit_prefix"
CHUNK_BYTES = 1 << 24

Named = dict[str, tuple[torch.dtype, tuple[int, ...]]]


class Vectors(Config):
    """One tensor of a layer: its sizes between samples and positions, and its width."""

    outer: tuple[Count, ...] = Field(max_length=2)
    """Sizes such as heads."""
    width: Width
    """Width of a vector."""


class Contents(Config):
    """What a file says about itself."""

    version: int = Field(default=1, ge=1, le=1)
    """Of the format."""
    samples: int = Field(ge=1, le=2**20)
    """Samples B."""
    kept: int = Field(ge=0, le=2**40)
    """Positions that are kept as the codec says."""
    last: int = Field(ge=0, le=2**40)
    """Positions after them that are exact."""
    codec: str
    """How tensors are kept."""
    masked: bool
    """Whether there is padding."""
    decoder: str
    """Digest of the config of the decoder that made them."""
    layers: tuple[tuple[Vectors, ...], ...]
    """The tensors of each layer."""


def save_prefix(cache: KVCache, path: str | Path, *, decoder: Decoder) -> None:
    """Write what a cache holds to a file; one that was there stays until the new one is whole.

    Args:
        cache: filled by `decoder`, under any policy; it stays usable.
        path: of the file, which usually ends in `.safetensors`.
        decoder: the decoder that filled it.

    Raises:
        InputError: if the cache is empty.
        CheckpointError: if the file cannot be written.
    """
    path = Path(path)
    if not cache.length or not cache.layers:
        raise InputError("an empty cache", rule="a prefix has one position at least", remedy="run the prompt first")
    cache.crop(cache.length)
    kept, last = cache.layers[0].kept()
    contents = Contents(
        samples=cache.samples,
        kept=kept[0].shape[-2] if kept else 0,
        last=last[0].shape[-2] if last else 0,
        codec=cache.layers[0].codec.name,
        masked=cache.mask_BS is not None,
        decoder=_digest(decoder),
        layers=tuple(tuple(Vectors(outer=f.outer, width=f.width) for f in layer.forms) for layer in cache.layers),
    )
    shapes: Named = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in _tensors(cache)}
    with explained(path):
        temporary = stage(path, _chunks(cache, render_header(shapes, {KEY: contents.model_dump_json()})))
        try:
            os.replace(temporary, path)  # noqa: PTH105
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def load_prefix(
    path: str | Path, *, decoder: Decoder, cache: str | Mapping[str, Any] | CachePolicyConfig = "resident"
) -> KVCache:
    """A cache that goes on from a file; its numbers are those that were saved, whatever the policies.

    Args:
        path: of the file.
        decoder: the decoder that made it, with the same config, type and weights; the weights are not compared.
        cache: policy of the new cache; a quantized prefix needs the quantization that it was saved with.

    Raises:
        CheckpointError: if the file is no whole prefix, or one of another decoder, type or quantization.
        RegistryError: if there is no such policy.
    """
    path, filled = Path(path), decoder.new_cache(cache)
    contents, entries = _contents(path), read_header(path)
    weights = next(decoder.parameters())
    forms = [tuple(Form(v.outer, v.width, weights.dtype) for v in layer) for layer in contents.layers]
    _require_same(path, contents, filled, decoder)
    expected = _expected(contents, forms, filled)
    for name in sorted(expected.keys() | entries.keys()):
        found = (entries[name].dtype, tuple(entries[name].shape)) if name in entries else None
        if found != expected.get(name):
            raise CheckpointError(
                f"{name!r} in {path} is {_shown(found)}",
                rule=f"for this decoder and cache it is {_shown(expected.get(name))}",
                remedy="load a prefix that this decoder made, in its type",
            )
    for index, layer in enumerate(filled.layers):
        kept, last = (
            [_read(entries[name], weights.device) for name in expected if name.startswith(f"layers.{index}.{part}.")]
            for part in ("kept", "last")
        )
        layer.keep(kept, last, forms=forms[index])
    if "mask" in entries:
        filled.mask_BS = _read(entries["mask"], weights.device)
    filled.device = weights.device
    return filled


def _tensors(cache: KVCache) -> Iterator[tuple[str, Tensor]]:
    """All that is saved, made layer by layer."""
    for index, layer in enumerate(cache.layers):
        for part, tensors in zip(("kept", "last"), layer.kept(), strict=True):
            for number, tensor in enumerate(tensors):
                yield f"layers.{index}.{part}.{number}", tensor
    if cache.mask_BS is not None:
        yield "mask", cache.mask_BS


def _expected(contents: Contents, forms: Sequence[tuple[Form, ...]], cache: KVCache) -> Named:
    """Dtype and shape of all tensors of a file with these contents."""
    expected: Named = {}
    for index, layer in enumerate(cache.layers):
        empty = [torch.empty(1, *f.outer, 0, f.width, dtype=f.dtype, device="meta") for f in forms[index]]
        parts = (("kept", contents.kept, layer.encoded(empty)), ("last", contents.last, empty))
        for part, positions, tensors in parts:
            for number, tensor in enumerate(tensors if positions else ()):
                shape = (contents.samples, *tensor.shape[1:-2], positions, tensor.shape[-1])
                expected[f"layers.{index}.{part}.{number}"] = (tensor.dtype, shape)
    if contents.masked:
        expected["mask"] = (torch.bool, (contents.samples, contents.kept + contents.last))
    return expected


def _contents(path: Path) -> Contents:
    text = read_metadata(path).get(KEY)
    if text is None:
        raise CheckpointError(f"{path} is no prefix", rule=f"its header has an entry {KEY!r}", remedy="see save_prefix")
    try:
        return Contents.model_validate_json(text)
    except ConfigError as error:
        raise CheckpointError(f"{path} is no prefix: {error.problem}", remedy="save it again") from None


def _require_same(path: Path, contents: Contents, cache: KVCache, decoder: Decoder) -> None:
    """Refuse a file that another decoder made, or whose numbers this cache does not keep the same way."""
    vectors: Counter[int] = Counter()
    for layer in contents.layers:
        for vector in layer:
            vectors[vector.width] += math.prod(vector.outer)
    known = decoder.config.cached_vectors()
    codec = cache.layers[0].codec.name if cache.layers else contents.codec
    for what, found, expected in (
        ("layers", len(contents.layers), len(cache.layers)),
        ("vectors per token and width", dict(vectors), dict(known) or dict(vectors)),
        ("config of the decoder (digest)", contents.decoder, _digest(decoder)),
        ("quantization", contents.codec, codec),
    ):
        if found != expected:
            raise CheckpointError(
                f"{what} of {path}: {found}",
                rule=f"for this decoder and cache: {expected}",
                remedy="name the policy that the prefix was saved under"
                if what == "quantization"
                else "load a prefix that this decoder made",
            )


def _digest(decoder: Decoder) -> str:
    return hashlib.sha256(decoder.config.model_dump_json().encode()).hexdigest()


def _shown(tensor: tuple[torch.dtype, tuple[int, ...]] | None) -> str:
    return "not there" if tensor is None else f"{tensor[0]} of shape {list(tensor[1])}"


def _chunks(cache: KVCache, header: bytes) -> Iterator[bytes | memoryview]:
    yield header
    for _, tensor in _tensors(cache):
        for piece in tensor.detach().reshape(-1).split(CHUNK_BYTES // tensor.dtype.itemsize):
            yield piece.cpu().contiguous().view(torch.uint8).numpy().data


def _read(entry: Entry, device: torch.device) -> Tensor:
    tensor = torch.empty(entry.shape, dtype=entry.dtype, device=device)
    read_into(entry, tensor.view(-1))
    return tensor
