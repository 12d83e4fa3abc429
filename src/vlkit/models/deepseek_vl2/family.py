"""DeepSeek-VL2 among the families of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlkit.checkpoint.keymap import KeyMap
from vlkit.decoders.deepseek_v2 import DeepseekV2Config
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.models.deepseek_vl2.keys import EMBEDDING, HEAD, KEYMAP, TIED_KEYMAP
from vlkit.models.deepseek_vl2.model import DeepseekVLV2
from vlkit.models.deepseek_vl2.presets import presets
from vlkit.models.family import Family, TiedHead


def _is_tied(config: DeepseekVLV2Config) -> bool:
    return isinstance(config.decoder, DeepseekV2Config) and config.decoder.tie_word_embeddings


def _recognises(content: Mapping[str, Any]) -> bool:
    return "language_config" in content or "vision_config" in content


def _keymap(config: DeepseekVLV2Config) -> KeyMap:
    return TIED_KEYMAP if _is_tied(config) else KEYMAP


def _tied_head(config: DeepseekVLV2Config) -> TiedHead | None:
    return TiedHead(HEAD, EMBEDDING) if _is_tied(config) else None


DEEPSEEK_VL2 = Family(
    config_class=DeepseekVLV2Config,
    model_class=DeepseekVLV2,
    presets=presets,
    recognises=_recognises,
    keymap=_keymap,
    tied_head=_tied_head,
    processor=("vlkit.models.deepseek_vl2.processor", "DeepseekVLV2Processor"),
)
"""Every official file of this form that no other family recognises, and everything assembled in it."""
