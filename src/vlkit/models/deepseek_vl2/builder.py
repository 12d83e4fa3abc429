"""The builder of DeepSeek-VL2 and of everything in its form."""

from __future__ import annotations

from typing import ClassVar, cast

from vlkit.builder import VLMBuilder
from vlkit.errors import ConfigError, did_you_mean
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.models.deepseek_vl2.model import DeepseekVLV2
from vlkit.models.deepseek_vl2.presets import presets
from vlkit.vlm import VLM


class DeepseekVLV2Builder(VLMBuilder[DeepseekVLV2]):
    """Assembles a `DeepseekVLV2` step by step.

    Args:
        start: name of a preset, or a config.

    Raises:
        ConfigError: if there is no such preset.
    """

    model_class: ClassVar[type[VLM]] = DeepseekVLV2

    def __init__(self, start: str | DeepseekVLV2Config = "deepseek-vl2-tiny") -> None:
        if isinstance(start, str):
            if start not in presets:
                raise ConfigError(f"{start!r} is not a preset; {did_you_mean(start, presets)}")
            start = presets[start]
        super().__init__(start)

    @property
    def config(self) -> DeepseekVLV2Config:
        return cast(DeepseekVLV2Config, super().config)
