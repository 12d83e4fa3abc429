"""One door to all models: from a name, a mapping, a file, a folder or a hub id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor

from vlkit.builder import fresh_weights
from vlkit.checkpoint.bundled import BUNDLED, bundled_folder
from vlkit.checkpoint.files import WeightFiles
from vlkit.checkpoint.hub import resolve_folder
from vlkit.checkpoint.keymap import KeyMap
from vlkit.checkpoint.loading import load_into, named_tensors
from vlkit.checkpoint.reading import read_into
from vlkit.checkpoint.rules import Rule
from vlkit.checkpoint.saving import save
from vlkit.config import read_mapping
from vlkit.description import Description
from vlkit.description import describe as describe_config
from vlkit.errors import CheckpointError, ConfigError, did_you_mean
from vlkit.files import write_json
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.models.deepseek_vl2.model import DeepseekVLV2
from vlkit.models.families import config_from, family_of, presets
from vlkit.models.family import NATIVE, TiedHead
from vlkit.vlm import VLM
from vlkit.vlm_config import VLMConfig

if TYPE_CHECKING:
    from vlkit.processing.processor import Processor

ConfigSpec = str | Path | Mapping[str, Any] | VLMConfig
"""Name of a preset or of a model that comes with vlkit, a config file, a mapping, or a config."""

KINDS = (".json", ".toml", ".yaml", ".yml")
"""What config files end in."""

NATIVE_KEYMAP = KeyMap([Rule("{rest}", "{rest}")])


def resolve_config(spec: ConfigSpec) -> VLMConfig:
    """Config by its name, from a `.json`, `.toml` or `.yaml` file, from a mapping (ours or official), or as it is.

    Names are those of `presets` and of the models that come with vlkit; a folder stands for the `config.json` in it.

    Raises:
        ConfigError: if there is no such preset or file, or its content is not valid.
    """
    if isinstance(spec, VLMConfig):
        return spec
    if isinstance(spec, str) and spec in presets:
        preset: VLMConfig = presets[spec]
        return preset
    if isinstance(spec, Mapping):
        return config_from(spec)
    if not isinstance(spec, str | Path):
        raise ConfigError(
            f"a {type(spec).__name__} is no config",
            rule="it is a preset's name, a config file, a mapping, or a VLMConfig",
        )
    path = bundled_folder(spec) or Path(spec)
    if path.is_dir():
        path = path / "config.json"
    if not path.exists():
        files = [str(file) for kind in KINDS for file in path.parent.glob(f"*{kind}")]
        raise ConfigError(
            f"{str(spec)!r} is neither a preset nor a file; {did_you_mean(str(spec), [*presets, *BUNDLED, *files])}",
            remedy="name a preset, a config file, or a folder with a config.json",
        )
    return config_from(read_mapping(path))


@overload
def build(
    config: DeepseekVLV2Config, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> DeepseekVLV2: ...


@overload
def build(config: ConfigSpec, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> VLM: ...


def build(config: ConfigSpec, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> VLM:
    """Model with fresh weights.

    Args:
        config: a preset's name, a config file, a mapping, or a config.
        dtype: type of the weights; None: torch's default.
        device: where they are made; None: torch's default, "meta" for none at all.

    Raises:
        ConfigError: if the config is not valid, before anything is allocated.
    """
    resolved = resolve_config(config)
    model_class = VLM if type(resolved) is VLMConfig else family_of(resolved).model_class
    with fresh_weights(dtype, device):
        return model_class(resolved)


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
) -> VLM:
    """Model from a checkpoint in the official layout of its family, or one that `save_pretrained` wrote.

    Weights that need no change are mapped from the file, experts are read straight into their stack.

    Args:
        name_or_path: folder, hub id, or the name of a model that comes with vlkit.
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
    config, files = config_from(content), WeightFiles.open(folder)
    official = None if NATIVE in content else family_of(config)
    keymap = official.keymap(config) if official else NATIVE_KEYMAP
    model = build(config, device="meta")
    load_into(model, files, keymap, dtype=dtype, device=device or "cpu", progress=progress)
    tied = official.tied_head(config) if official else None
    if tied and tied.head in files.entries:
        _require_tied(files, tied, keymap, model)
    return model.eval()


def load_processor(name_or_path: str | Path, *, revision: str | None = None) -> Processor[Any]:
    """Processor of a checkpoint, of the class that belongs to its family.

    Args:
        name_or_path: folder, hub id, or the name of a model that comes with vlkit.
        revision: branch, tag or commit on the hub.

    Raises:
        ConfigError: if a config or setting is not valid.
        CheckpointError: if files are missing or damaged.
    """
    folder = resolve_folder(name_or_path, revision=revision, weights=False)
    return family_of(resolve_config(folder)).processor_class().from_pretrained(folder)


def save_pretrained(
    model: VLM,
    folder: str | Path,
    *,
    processor: Processor[Any] | None = None,
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
    folder, tied = Path(folder), None
    try:
        family = family_of(model.config)
        content, keymap = model.config.to_hf(), family.keymap(model.config)  # type: ignore[attr-defined]
        tied = family.tied_head(model.config)
    except ConfigError:
        content, keymap = {NATIVE: model.config.model_dump(mode="json")}, NATIVE_KEYMAP
    if "torch_dtype" in content:
        content["torch_dtype"] = str(model.dtype).removeprefix("torch.")
    tensors = keymap.to_theirs(named_tensors(model))
    if tied:
        tensors[tied.head] = tensors[tied.embedding]
    save(tensors, folder, max_shard_size=max_shard_size)
    write_json(folder / "config.json", content)
    if processor is not None:
        processor.save_pretrained(folder)


def _require_tied(files: WeightFiles, tied: TiedHead, keymap: KeyMap, model: VLM) -> None:
    """Refuse a checkpoint whose head differs from the embedding that the config says it is."""
    entry, embedding = files.entries[tied.head], keymap.to_theirs(named_tensors(model))[tied.embedding]
    head: Tensor = torch.empty_like(embedding)
    if entry.shape == head.shape:
        read_into(entry, head.view(-1))
    if entry.shape != head.shape or not torch.equal(head, embedding):
        raise CheckpointError(
            f"{tied.head!r} in {entry.file.path} is not {tied.embedding!r}",
            rule="tie_word_embeddings in config.json says that they are one",
            remedy="set tie_word_embeddings to false, so that the checkpoint's own head is used",
        )
