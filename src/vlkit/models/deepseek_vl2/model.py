"""DeepSeek-VL2: the general assembly with the official config around it."""

from __future__ import annotations

from torch import nn

from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.vlm import VLM


class DeepseekVLV2(VLM):
    """DeepSeek-VL2 in the form of its four parts. Paper: arXiv:2412.10302.

    Args:
        config: the whole model.
        parts: modules to use in place of the ones that the config describes, by the names of the four parts.
    """

    config: DeepseekVLV2Config

    def __init__(self, config: DeepseekVLV2Config, **parts: nn.Module) -> None:
        super().__init__(config, **parts)
