"""A family of models: what its official checkpoints look like, and what they become here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlkit.checkpoint.keymap import KeyMap
from vlkit.decoders.deepseek_v2 import DeepseekV2Config
from vlkit.vlm import VLM
from vlkit.vlm_config import VLMConfig

if TYPE_CHECKING:
    from vlkit.processing.processor import Processor

NATIVE = "vlkit"
"""Key under which a `config.json` holds a config that the official format has no fields for."""


@dataclass(frozen=True)
class TiedHead:
    """Official names of a head that is the embedding: the checkpoint may hold both, the model has one.

    Args:
        head: name of the head.
        embedding: name of the embedding.
    """

    head: str
    embedding: str


@dataclass(frozen=True)
class Family:
    """Models with one official format.

    Args:
        config_class: its config, whose `model_type` is the family's tag, with `from_hf` and `to_hf`.
        model_class: the model.
        presets: configs by name.
        recognises: whether the content of an official config.json is of this family.
        untied: official names to those of a model whose head is its own.
        tied: the same where the head is the embedding, so that it is left out.
        head: official names of head and embedding.
        processor: module and name of the processor class, which is imported when it is needed.
    """

    config_class: type[VLMConfig]
    model_class: type[VLM]
    presets: Mapping[str, Any]
    recognises: Callable[[Mapping[str, Any]], bool]
    untied: KeyMap
    tied: KeyMap
    head: TiedHead
    processor: tuple[str, str]

    @property
    def tag(self) -> str:
        """The `model_type` by which vlkit's own config files name the family."""
        return str(self.config_class.model_fields["model_type"].default)

    def keymap(self, config: VLMConfig) -> KeyMap:
        """Official names to those of a model with this config."""
        return self.untied if self.tied_head(config) is None else self.tied

    def tied_head(self, config: VLMConfig) -> TiedHead | None:
        """Names of a head that is the embedding; None if it is a matrix of its own."""
        decoder = config.decoder
        return self.head if isinstance(decoder, DeepseekV2Config) and decoder.tie_word_embeddings else None

    def processor_class(self) -> type[Processor[Any]]:
        """Class of the processor."""
        module, name = self.processor
        found: type[Processor[Any]] = getattr(import_module(module), name)
        return found
