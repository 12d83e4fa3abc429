"""Projectors: from the encoder's features to the decoder's width."""

from vlkit.projectors.base import AnyProjector, Projector, ProjectorConfig, projectors
from vlkit.projectors.downsample import DownsampleMlpGelu, DownsampleMlpGeluConfig
from vlkit.projectors.linear import Identity, IdentityConfig, Linear, LinearConfig
from vlkit.projectors.mlp import MlpGelu, MlpGeluConfig
from vlkit.projectors.supplied import SuppliedProjectorConfig

__all__ = [
    "AnyProjector",
    "DownsampleMlpGelu",
    "DownsampleMlpGeluConfig",
    "Identity",
    "IdentityConfig",
    "Linear",
    "LinearConfig",
    "MlpGelu",
    "MlpGeluConfig",
    "Projector",
    "ProjectorConfig",
    "SuppliedProjectorConfig",
    "projectors",
]
