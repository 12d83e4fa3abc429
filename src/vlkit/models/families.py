"""All families of models, and which one a config belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from vlkit.errors import ConfigError, did_you_mean
from vlkit.models.deepseek_ocr.family import DEEPSEEK_OCR
from vlkit.models.deepseek_vl.family import DEEPSEEK_VL
from vlkit.models.deepseek_vl2.family import DEEPSEEK_VL2
from vlkit.models.family import NATIVE, Family
from vlkit.vlm_config import VLMConfig

FAMILIES: tuple[Family, ...] = (DEEPSEEK_OCR, DEEPSEEK_VL, DEEPSEEK_VL2)
"""In the order in which they are asked whether they recognise an official file, special ones first."""

presets: Mapping[str, Any] = MappingProxyType(
    {name: config for each in FAMILIES for name, config in each.presets.items()}
)
"""Configs of all families by name."""


def family_of(config: VLMConfig) -> Family:
    """Family of a config.

    Raises:
        ConfigError: if it belongs to none.
    """
    for family in FAMILIES:
        if isinstance(config, family.config_class):
            return family
    raise ConfigError(
        f"a {type(config).__name__} belongs to no family of models",
        rule=f"it is one of {', '.join(family.config_class.__name__ for family in FAMILIES)}",
        remedy="build it with VLMBuilder, or give its fields to DeepseekVLV2Config, which takes any parts",
    )


def config_from(content: Mapping[str, Any]) -> VLMConfig:
    """Config from the content of a file: vlkit's own, in a `config.json` under its key or plain, or an official one.

    Raises:
        ConfigError: if it is not valid.
    """
    if NATIVE in content:
        return _own(content[NATIVE])
    for family in FAMILIES:
        if "encoder" not in content and family.recognises(content):
            found: VLMConfig = family.config_class.from_hf(content)  # type: ignore[attr-defined]
            return found
    return _own(content)


def _own(content: Any) -> VLMConfig:
    tags = {family.tag: family.config_class for family in FAMILIES}
    tag = content.get("model_type", DEEPSEEK_VL2.tag) if isinstance(content, Mapping) else DEEPSEEK_VL2.tag
    if not isinstance(tag, str) or tag not in tags:
        raise ConfigError(
            f"model_type {tag!r:.80} is not known; {did_you_mean(str(tag)[:80], tags)}",
            rule="a config names one of the families, or the parts of a model",
        )
    return tags[tag].model_validate(content)
