"""The config of DeepSeek-VL: four parts, and the official `config.json` both ways."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from vlkit.config import read_mapping
from vlkit.cropping import Cropping
from vlkit.layouts import PlainConfig
from vlkit.layouts.base import AnyLayout
from vlkit.models.deepseek_vl.cropping import whole_pictures
from vlkit.models.deepseek_vl.hf import from_official, to_official
from vlkit.vlm_config import VLMConfig


class DeepseekVLConfig(VLMConfig):
    """DeepSeek-VL and everything that can be assembled in its form. Paper: arXiv:2403.05525."""

    model_type: Literal["deepseek_vl"] = "deepseek_vl"
    """Tag of the assembly; official files say `multi_modality`, as those of Janus."""
    layout: AnyLayout = PlainConfig()
    """Order of the image tokens: row by row."""
    cropping: Cropping = whole_pictures()
    """Whether a picture is cut: never, it is scaled into the one tile."""

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
        """Content of an official `config.json`, every field spelled out.

        The official code knows vision towers by name alone, so that towers of other sizes cannot be written.

        Raises:
            ConfigError: if the official code has no field or name for something in this config.
        """
        return to_official(self)
