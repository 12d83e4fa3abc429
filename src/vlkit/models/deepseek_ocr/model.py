"""DeepSeek-OCR: the general assembly with the official config around it."""

from __future__ import annotations

from torch import nn

from vlkit.models.deepseek_ocr.config import DeepseekOCRConfig
from vlkit.vlm import VLM


class DeepseekOCR(VLM):
    """DeepSeek-OCR in the form of its four parts. Paper: arXiv:2510.18234.

    It takes the views of every resolution mode, whatever the mode of its config: their sizes are those of the pixels.

    Args:
        config: the whole model.
        parts: modules to use in place of the ones that the config describes, by the names of the four parts.
    """

    config: DeepseekOCRConfig

    def __init__(self, config: DeepseekOCRConfig, **parts: nn.Module) -> None:
        super().__init__(config, **parts)
