"""Vision encoders: tiles in, a grid of features out."""

from typing import TYPE_CHECKING

from vlkit.lazy import lazy_names

if TYPE_CHECKING:
    from vlkit.encoders.base import AnyEncoder, Encoder, EncoderConfig, encoders
    from vlkit.encoders.clip import Clip, ClipConfig
    from vlkit.encoders.deep_encoder import DeepEncoder, DeepEncoderConfig
    from vlkit.encoders.dinov2 import Dinov2, Dinov2Config
    from vlkit.encoders.hf_vision import HFVision, HFVisionConfig
    from vlkit.encoders.hybrid import Hybrid, HybridConfig
    from vlkit.encoders.sam import Sam, SamConfig
    from vlkit.encoders.siglip import SigLIP, SigLIPConfig
    from vlkit.encoders.supplied import SuppliedEncoderConfig
    from vlkit.encoders.timm import Timm, TimmConfig

_HOMES = {
    "vlkit.encoders.base": ("AnyEncoder", "Encoder", "EncoderConfig", "encoders"),
    "vlkit.encoders.clip": ("Clip", "ClipConfig"),
    "vlkit.encoders.deep_encoder": ("DeepEncoder", "DeepEncoderConfig"),
    "vlkit.encoders.dinov2": ("Dinov2", "Dinov2Config"),
    "vlkit.encoders.hf_vision": ("HFVision", "HFVisionConfig"),
    "vlkit.encoders.hybrid": ("Hybrid", "HybridConfig"),
    "vlkit.encoders.sam": ("Sam", "SamConfig"),
    "vlkit.encoders.siglip": ("SigLIP", "SigLIPConfig"),
    "vlkit.encoders.supplied": ("SuppliedEncoderConfig",),
    "vlkit.encoders.timm": ("Timm", "TimmConfig"),
}

__all__ = [
    "AnyEncoder",
    "Clip",
    "ClipConfig",
    "DeepEncoder",
    "DeepEncoderConfig",
    "Dinov2",
    "Dinov2Config",
    "Encoder",
    "EncoderConfig",
    "HFVision",
    "HFVisionConfig",
    "Hybrid",
    "HybridConfig",
    "Sam",
    "SamConfig",
    "SigLIP",
    "SigLIPConfig",
    "SuppliedEncoderConfig",
    "Timm",
    "TimmConfig",
    "encoders",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
