"""The config of DeepSeek-OCR: four parts, a resolution mode, and the official `config.json` both ways."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from vlkit.config import read_mapping
from vlkit.models.deepseek_ocr.hf import from_official, to_official
from vlkit.models.deepseek_ocr.modes import MODES, ResolutionMode, mode_of
from vlkit.vlm_config import VLMConfig


class DeepseekOCRConfig(VLMConfig):
    """DeepSeek-OCR and everything that can be assembled in its form. Paper: arXiv:2510.18234."""

    model_type: Literal["deepseek_ocr"] = "deepseek_ocr"
    """Tag of the assembly."""

    @property
    def mode(self) -> str | None:
        """Name of the resolution mode; None if the sizes are others."""
        return next((name for name, mode in MODES.items() if self._is_at(mode)), None)

    def _is_at(self, mode: ResolutionMode) -> bool:
        return all(getattr(self, name) == value for name, value in mode.fields.items())

    def at(self, mode: str | ResolutionMode) -> Self:
        """The same model in another resolution mode; the weights fit as they are.

        Args:
            mode: "tiny", "small", "base", "large", "gundam", or sizes of one's own.

        Raises:
            ConfigError: if there is no such mode, or the encoder does not take views of its sizes.
        """
        return self.replace(**mode_of(mode).fields)

    @classmethod
    def from_hf(cls, source: str | Path | Mapping[str, Any]) -> Self:
        """Config from an official `config.json`: its path, its folder, or its content.

        The mode is "gundam", as the official code has it: the file has no field for it. What it says twice is checked
        against each other.

        Raises:
            ConfigError: if the file is unreadable, has unknown keys, contradicts itself, or cannot be built.
        """
        if isinstance(source, str | Path):
            path = Path(source)
            source = read_mapping(path / "config.json" if path.is_dir() else path)
        return cls.model_validate(from_official(source))

    def to_hf(self) -> dict[str, Any]:
        """Content of an official `config.json`, every field spelled out.

        How things are computed (`mode` of attention, `compute` of experts, `gradient_checkpointing`) is not part of
        the model and not written; a padding token that is left to its default is written as what it is.

        Raises:
            ConfigError: if the official code has no field for something in this config, such as another mode.
        """
        return to_official(self)
