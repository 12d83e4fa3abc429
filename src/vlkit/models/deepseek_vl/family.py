"""DeepSeek-VL among the families of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlkit.checkpoint.keymap import KeyMap
from vlkit.decoders.deepseek_v2 import DeepseekV2Config
from vlkit.models.deepseek_vl.config import DeepseekVLConfig
from vlkit.models.deepseek_vl.hf import CONVERTED
from vlkit.models.deepseek_vl.keys import EMBEDDING, HEAD, KEYMAP, TIED_KEYMAP
from vlkit.models.deepseek_vl.model import DeepseekVL
from vlkit.models.deepseek_vl.presets import presets
from vlkit.models.family import Family, TiedHead


def _is_tied(config: DeepseekVLConfig) -> bool:
    return isinstance(config.decoder, DeepseekV2Config) and config.decoder.tie_word_embeddings


def _recognises(content: Mapping[str, Any]) -> bool:
    return content.get("model_type") in ("multi_modality", *CONVERTED)


def _keymap(config: DeepseekVLConfig) -> KeyMap:
    return TIED_KEYMAP if _is_tied(config) else KEYMAP


def _tied_head(config: DeepseekVLConfig) -> TiedHead | None:
    return TiedHead(HEAD, EMBEDDING) if _is_tied(config) else None


DEEPSEEK_VL = Family(
    config_class=DeepseekVLConfig,
    model_class=DeepseekVL,
    presets=presets,
    recognises=_recognises,
    keymap=_keymap,
    tied_head=_tied_head,
    processor=("vlkit.models.deepseek_vl.processor", "DeepseekVLProcessor"),
)
"""Official files that say `multi_modality`, and everything assembled in this form."""
