"""The config of DeepSeek-VL2: four parts, and the official `config.json` both ways."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from vlkit.config import read_mapping
from vlkit.models.deepseek_vl2.hf import from_official, to_official
from vlkit.vlm_config import VLMConfig


class DeepseekVLV2Config(VLMConfig):
    """DeepSeek-VL2 and everything that can be assembled in its form. Paper: arXiv:2412.10302."""

    model_type: Literal["deepseek_vl_v2"] = "deepseek_vl_v2"
    """Tag of the assembly."""

    @classmethod
    def from_hf(cls, source: str | Path | Mapping[str, Any]) -> Self:
        """Config from an official `config.json`: its path, its folder, or its content.

        Fields that the file leaves out have the official class defaults; the copies of widths that it holds are
        checked against each other.

        Raises:
            ConfigError: if the file is unreadable, has unknown keys, contradicts itself, or cannot be built.
        """
        if isinstance(source, str | Path):
            path = Path(source)
            source = read_mapping(path / "config.json" if path.is_dir() else path)
        return cls.model_validate(from_official(source))

    def to_hf(self) -> dict[str, Any]:
        """Content of an official `config.json`, every field spelled out, with the `architectures` upstream forgot.

        How attention and experts are computed (`mode`, `compute`) is not part of the model and not written; a padding
        token that is left to its default is written as what it is.

        Raises:
            ConfigError: if the official code has no field for something in this config.
        """
        return to_official(self)
