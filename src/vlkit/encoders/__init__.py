"""Vision encoders: tiles in, a grid of features out."""

from vlkit.encoders.base import AnyEncoder, Encoder, EncoderConfig, encoders
from vlkit.encoders.siglip import SigLIP, SigLIPConfig
from vlkit.encoders.supplied import SuppliedEncoderConfig

__all__ = [
    "AnyEncoder",
    "Encoder",
    "EncoderConfig",
    "SigLIP",
    "SigLIPConfig",
    "SuppliedEncoderConfig",
    "encoders",
]
