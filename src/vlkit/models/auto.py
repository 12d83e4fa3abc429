"""One door to all models: from a name, a mapping, a file, a folder or a hub id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vlkit.builder import fresh_weights
from vlkit.checkpoint.files import WeightFiles
from vlkit.checkpoint.header import Entry
from vlkit.checkpoint.hub import resolve_folder
from vlkit.checkpoint.keymap import KeyMap
from vlkit.checkpoint.loading import load_into, named_tensors
from vlkit.checkpoint.reading import read_into
from vlkit.checkpoint.rules import Rule
from vlkit.checkpoint.saving import save
from vlkit.config import read_mapping
from vlkit.decoders.deepseek_v2 import DeepseekV2Config
from vlkit.description import Description
from vlkit.description import describe as describe_config
from vlkit.errors import CheckpointError, ConfigError, did_you_mean
from vlkit.files import write_json
from vlkit.models.deepseek_vl2.config import NATIVE, DeepseekVLV2Config
from vlkit.models.deepseek_vl2.keys import EMBEDDING, HEAD, KEYMAP, TIED_KEYMAP
from vlkit.models.deepseek_vl2.model import DeepseekVLV2
from vlkit.models.deepseek_vl2.presets import presets

if TYPE_CHECKING:
    from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor

ConfigSpec = str | Path | Mapping[str, Any] | DeepseekVLV2Config
"""A preset's name, a config file, a mapping, or a config."""

KINDS = (".json", ".toml", ".yaml", ".yml")
"""What config files end in."""

NATIVE_KEYMAP = KeyMap([Rule("{rest}", "{rest}")])


def resolve_config(spec: ConfigSpec) -> DeepseekVLV2Config:
    """Config from a preset's name, a `.json`, `.toml` or `.yaml` file, a mapping (ours or official), or as it is.

    Raises:
        ConfigError: if there is no such preset or file, or its content is not valid.
    """
    if isinstance(spec, DeepseekVLV2Config):
        return spec
    if isinstance(spec, str) and spec in presets:
        return presets[spec]
    if isinstance(spec, Mapping):
        return _from_mapping(spec)
    if not isinstance(spec, str | Path):
        raise ConfigError(
            f"a {type(spec).__name__} is no config",
            rule="it is a preset's name, a config file, a mapping, or a DeepseekVLV2Config",
        )
    path = Path(spec)
    if path.is_dir():
        path = path / "config.json"
    if not path.exists():
        files = [str(file) for kind in KINDS for file in path.parent.glob(f"*{kind}")]
        raise ConfigError(
            f"{str(spec)!r} is neither a preset nor a file; {did_you_mean(str(spec), [*presets, *files])}",
            remedy="name a preset, a config file, or a folder with a config.json",
        )
    return _from_mapping(read_mapping(path))


def build(
    config: ConfigSpec, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> DeepseekVLV2:
    """Model with fresh weights.

    Args:
        config: a preset's name, a config file, a mapping, or a config.
        dtype: type of the weights; None: torch's default.
        device: where they are made; None: torch's default, "meta" for none at all.

    Raises:
        ConfigError: if the config is not valid, before anything is allocated.
    """
    resolved = resolve_config(config)
    with fresh_weights(dtype, device):
        return DeepseekVLV2(resolved)


def describe(config: ConfigSpec, **what: Any) -> Description:
    """What can be known without weights; see `vlkit.description.describe`."""
    return describe_config(resolve_config(config), **what)


def from_pretrained(
    name_or_path: str | Path,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    revision: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DeepseekVLV2:
    """Model from a checkpoint in the official layout, or one that `save_pretrained` wrote.

    Weights that need no change are mapped from the file, experts are read straight into their stack.

    Args:
        name_or_path: folder or hub id.
        dtype: type of the weights; None: as in the file.
        device: where they go; None: the CPU.
        revision: branch, tag or commit on the hub.
        progress: is told bytes done and bytes in all.

    Returns:
        The model, in evaluation mode.

    Raises:
        ConfigError: if the config is not valid.
        CheckpointError: if files are missing or damaged, or names and shapes differ from the config's; before weights
            are read.
    """
    folder = resolve_folder(name_or_path, revision=revision)
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise CheckpointError(
            f"{folder} has no config.json", rule="a checkpoint folder holds config.json beside its weights"
        )
    content = read_mapping(config_file)
    config, files = _from_mapping(content), WeightFiles.open(folder)
    keymap = NATIVE_KEYMAP if NATIVE in content else _official_keymap(config)
    model = build(config, device="meta")
    load_into(model, files, keymap, dtype=dtype, device=device or "cpu", progress=progress)
    if keymap is TIED_KEYMAP and HEAD in files.entries:
        _require_tied(files.entries[HEAD], model.get_parameter("decoder.embed_tokens.weight"))
    return model.eval()


def save_pretrained(
    model: DeepseekVLV2,
    folder: str | Path,
    *,
    processor: DeepseekVLV2Processor | None = None,
    max_shard_size: int | str = "4GB",
) -> None:
    """Write config and weights in the official layout, or in vlkit's own if the official one has no fields for them.

    Args:
        model: what to save.
        folder: where to; made if it does not exist.
        processor: its files are written too, so that the folder is complete.
        max_shard_size: largest file, as a number of bytes or a text such as "4GB".

    Raises:
        CheckpointError: if nothing can be written there.
        InputError: if the processor's files cannot be written there.
    """
    folder = Path(folder)
    try:
        content, keymap = model.config.to_hf(), _official_keymap(model.config)
    except ConfigError:
        content, keymap = {NATIVE: model.config.model_dump(mode="json")}, NATIVE_KEYMAP
    if "torch_dtype" in content:
        content["torch_dtype"] = str(model.dtype).removeprefix("torch.")
    tensors = keymap.to_theirs(named_tensors(model))
    if keymap is TIED_KEYMAP:
        tensors[HEAD] = tensors[EMBEDDING]
    save(tensors, folder, max_shard_size=max_shard_size)
    write_json(folder / "config.json", content)
    if processor is not None:
        processor.save_pretrained(folder)


def _official_keymap(config: DeepseekVLV2Config) -> KeyMap:
    tied = isinstance(config.decoder, DeepseekV2Config) and config.decoder.tie_word_embeddings
    return TIED_KEYMAP if tied else KEYMAP


def _require_tied(entry: Entry, embedding: Tensor) -> None:
    head = torch.empty_like(embedding)
    if entry.shape == head.shape:
        read_into(entry, head.view(-1))
    if entry.shape != head.shape or not torch.equal(head, embedding):
        raise CheckpointError(
            f"{HEAD!r} in {entry.file.path} is not {EMBEDDING!r}",
            rule="tie_word_embeddings in config.json says that they are one",
            remedy="set tie_word_embeddings to false, so that the checkpoint's own head is used",
        )


def _from_mapping(content: Mapping[str, Any]) -> DeepseekVLV2Config:
    if NATIVE in content:
        return DeepseekVLV2Config.model_validate(content[NATIVE])
    if "language_config" in content or "vision_config" in content:
        return DeepseekVLV2Config.from_hf(content)
    return DeepseekVLV2Config.model_validate(content)
