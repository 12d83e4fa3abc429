"""DeepSeek-VL2 among the families of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.models.deepseek_vl2.keys import EMBEDDING, HEAD, KEYMAP, TIED_KEYMAP
from vlkit.models.deepseek_vl2.model import DeepseekVLV2
from vlkit.models.deepseek_vl2.presets import presets
from vlkit.models.family import Family, TiedHead


def _recognises(content: Mapping[str, Any]) -> bool:
    return "language_config" in content or "vision_config" in content


DEEPSEEK_VL2 = Family(
    config_class=DeepseekVLV2Config,
    model_class=DeepseekVLV2,
    presets=presets,
    recognises=_recognises,
    untied=KEYMAP,
    tied=TIED_KEYMAP,
    head=TiedHead(HEAD, EMBEDDING),
    processor=("vlkit.models.deepseek_vl2.processor", "DeepseekVLV2Processor"),
)
"""Every official file of this form that no other family recognises, and everything assembled in it."""
