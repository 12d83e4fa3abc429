"""DeepSeek-VL among the families of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlkit.models.deepseek_vl.config import DeepseekVLConfig
from vlkit.models.deepseek_vl.hf import CONVERTED
from vlkit.models.deepseek_vl.keys import EMBEDDING, HEAD, KEYMAP, TIED_KEYMAP
from vlkit.models.deepseek_vl.model import DeepseekVL
from vlkit.models.deepseek_vl.presets import presets
from vlkit.models.family import Family, TiedHead


def _recognises(content: Mapping[str, Any]) -> bool:
    return content.get("model_type") in ("multi_modality", *CONVERTED)


DEEPSEEK_VL = Family(
    config_class=DeepseekVLConfig,
    model_class=DeepseekVL,
    presets=presets,
    recognises=_recognises,
    untied=KEYMAP,
    tied=TIED_KEYMAP,
    head=TiedHead(HEAD, EMBEDDING),
    processor=("vlkit.models.deepseek_vl.processor", "DeepseekVLProcessor"),
)
"""Official files that say `multi_modality`, and everything assembled in this form."""
