"""DeepSeek-VL: the general assembly with the official config around it."""

from __future__ import annotations

from torch import nn

from vlkit.models.deepseek_vl.config import DeepseekVLConfig
from vlkit.vlm import VLM


class DeepseekVL(VLM):
    """DeepSeek-VL in the form of its four parts. Paper: arXiv:2403.05525.

    Args:
        config: the whole model.
        parts: modules to use in place of the ones that the config describes, by the names of the four parts.
    """

    config: DeepseekVLConfig

    def __init__(self, config: DeepseekVLConfig, **parts: nn.Module) -> None:
        super().__init__(config, **parts)
