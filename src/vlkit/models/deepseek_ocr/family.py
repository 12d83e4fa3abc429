"""DeepSeek-OCR among the families of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlkit.models.deepseek_ocr.config import DeepseekOCRConfig
from vlkit.models.deepseek_ocr.hf_fields import WIDTH_DEFAULTS
from vlkit.models.deepseek_ocr.keys import EMBEDDING, HEAD, KEYMAP, TIED_KEYMAP
from vlkit.models.deepseek_ocr.model import DeepseekOCR
from vlkit.models.deepseek_ocr.presets import presets
from vlkit.models.family import Family, TiedHead


def _recognises(content: Mapping[str, Any]) -> bool:
    """By the class or the two towers that it names; `model_type` is DeepSeek-VL2's."""
    architectures, vision = content.get("architectures"), content.get("vision_config")
    if isinstance(architectures, list) and "DeepseekOCRForCausalLM" in architectures:
        return True
    width = vision.get("width") if isinstance(vision, Mapping) else None
    return isinstance(width, Mapping) and width.keys() >= WIDTH_DEFAULTS.keys()


DEEPSEEK_OCR = Family(
    config_class=DeepseekOCRConfig,
    model_class=DeepseekOCR,
    presets=presets,
    recognises=_recognises,
    untied=KEYMAP,
    tied=TIED_KEYMAP,
    head=TiedHead(HEAD, EMBEDDING),
    processor=("vlkit.models.deepseek_ocr.processor", "DeepseekOCRProcessor"),
)
"""Official files whose `architectures` or vision towers are DeepSeek-OCR's."""
