"""Projectors: from the encoder's features to the decoder's width."""

from typing import TYPE_CHECKING

from vlkit.lazy import lazy_names

if TYPE_CHECKING:
    from vlkit.projectors.average_pool import AveragePool, AveragePoolConfig
    from vlkit.projectors.base import AnyProjector, Projector, ProjectorConfig, projectors
    from vlkit.projectors.conv_abstractor import ConvAbstractor, ConvAbstractorConfig
    from vlkit.projectors.conv_fusion import ConvFusion, ConvFusionConfig
    from vlkit.projectors.downsample import DownsampleMlpGelu, DownsampleMlpGeluConfig
    from vlkit.projectors.hybrid_split import (
        HybridSplitFeatureMlpGeluConfig,
        HybridSplitMlpGelu,
        LowHighHybridSplitMlpGeluConfig,
    )
    from vlkit.projectors.linear import Identity, IdentityConfig, Linear, LinearConfig
    from vlkit.projectors.low_high_split import LowHighSplitMlpGelu, LowHighSplitMlpGeluConfig
    from vlkit.projectors.mlp import MlpGelu, MlpGeluConfig
    from vlkit.projectors.pixel_shuffle import PixelShuffle, PixelShuffleConfig
    from vlkit.projectors.resampler import Resampler, ResamplerConfig
    from vlkit.projectors.supplied import SuppliedProjectorConfig

_HOMES = {
    "vlkit.projectors.average_pool": ("AveragePool", "AveragePoolConfig"),
    "vlkit.projectors.base": ("AnyProjector", "Projector", "ProjectorConfig", "projectors"),
    "vlkit.projectors.conv_abstractor": ("ConvAbstractor", "ConvAbstractorConfig"),
    "vlkit.projectors.conv_fusion": ("ConvFusion", "ConvFusionConfig"),
    "vlkit.projectors.downsample": ("DownsampleMlpGelu", "DownsampleMlpGeluConfig"),
    "vlkit.projectors.hybrid_split": (
        "HybridSplitFeatureMlpGeluConfig",
        "HybridSplitMlpGelu",
        "LowHighHybridSplitMlpGeluConfig",
    ),
    "vlkit.projectors.linear": ("Identity", "IdentityConfig", "Linear", "LinearConfig"),
    "vlkit.projectors.low_high_split": ("LowHighSplitMlpGelu", "LowHighSplitMlpGeluConfig"),
    "vlkit.projectors.mlp": ("MlpGelu", "MlpGeluConfig"),
    "vlkit.projectors.pixel_shuffle": ("PixelShuffle", "PixelShuffleConfig"),
    "vlkit.projectors.resampler": ("Resampler", "ResamplerConfig"),
    "vlkit.projectors.supplied": ("SuppliedProjectorConfig",),
}

__all__ = [
    "AnyProjector",
    "AveragePool",
    "AveragePoolConfig",
    "ConvAbstractor",
    "ConvAbstractorConfig",
    "ConvFusion",
    "ConvFusionConfig",
    "DownsampleMlpGelu",
    "DownsampleMlpGeluConfig",
    "HybridSplitFeatureMlpGeluConfig",
    "HybridSplitMlpGelu",
    "Identity",
    "IdentityConfig",
    "Linear",
    "LinearConfig",
    "LowHighHybridSplitMlpGeluConfig",
    "LowHighSplitMlpGelu",
    "LowHighSplitMlpGeluConfig",
    "MlpGelu",
    "MlpGeluConfig",
    "PixelShuffle",
    "PixelShuffleConfig",
    "Projector",
    "ProjectorConfig",
    "Resampler",
    "ResamplerConfig",
    "SuppliedProjectorConfig",
    "projectors",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
