"""Composable building blocks for vision-language models; loads and reproduces DeepSeek-VL2 and its kin.

Everything here is loaded on first use, so that importing one part loads nothing else.
"""

from typing import TYPE_CHECKING

from vlkit.lazy import lazy_names

if TYPE_CHECKING:
    from vlkit.builder import VLMBuilder
    from vlkit.description import Description
    from vlkit.errors import VlkitError
    from vlkit.models.auto import build, describe, from_pretrained, load_processor, resolve_config, save_pretrained
    from vlkit.models.deepseek_ocr.config import DeepseekOCRConfig
    from vlkit.models.deepseek_ocr.model import DeepseekOCR
    from vlkit.models.deepseek_ocr.processor import DeepseekOCRProcessor
    from vlkit.models.deepseek_vl.config import DeepseekVLConfig
    from vlkit.models.deepseek_vl.model import DeepseekVL
    from vlkit.models.deepseek_vl.processor import DeepseekVLProcessor
    from vlkit.models.deepseek_vl2.builder import DeepseekVLV2Builder
    from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
    from vlkit.models.deepseek_vl2.model import DeepseekVLV2
    from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor
    from vlkit.models.families import presets
    from vlkit.vlm import VLM, VLMOutput
    from vlkit.vlm_config import VLMConfig

__version__ = "0.1.0"

_HOMES = {
    "vlkit.builder": ("VLMBuilder",),
    "vlkit.description": ("Description",),
    "vlkit.errors": ("VlkitError",),
    "vlkit.models.auto": (
        "build",
        "describe",
        "from_pretrained",
        "load_processor",
        "resolve_config",
        "save_pretrained",
    ),
    "vlkit.models.deepseek_ocr.config": ("DeepseekOCRConfig",),
    "vlkit.models.deepseek_ocr.model": ("DeepseekOCR",),
    "vlkit.models.deepseek_ocr.processor": ("DeepseekOCRProcessor",),
    "vlkit.models.deepseek_vl.config": ("DeepseekVLConfig",),
    "vlkit.models.deepseek_vl.model": ("DeepseekVL",),
    "vlkit.models.deepseek_vl.processor": ("DeepseekVLProcessor",),
    "vlkit.models.deepseek_vl2.builder": ("DeepseekVLV2Builder",),
    "vlkit.models.deepseek_vl2.config": ("DeepseekVLV2Config",),
    "vlkit.models.deepseek_vl2.model": ("DeepseekVLV2",),
    "vlkit.models.deepseek_vl2.processor": ("DeepseekVLV2Processor",),
    "vlkit.models.families": ("presets",),
    "vlkit.vlm": ("VLM", "VLMOutput"),
    "vlkit.vlm_config": ("VLMConfig",),
}

__all__ = [
    "VLM",
    "DeepseekOCR",
    "DeepseekOCRConfig",
    "DeepseekOCRProcessor",
    "DeepseekVL",
    "DeepseekVLConfig",
    "DeepseekVLProcessor",
    "DeepseekVLV2",
    "DeepseekVLV2Builder",
    "DeepseekVLV2Config",
    "DeepseekVLV2Processor",
    "Description",
    "VLMBuilder",
    "VLMConfig",
    "VLMOutput",
    "VlkitError",
    "build",
    "describe",
    "from_pretrained",
    "load_processor",
    "presets",
    "resolve_config",
    "save_pretrained",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
