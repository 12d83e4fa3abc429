"""What a model has settled of its pictures, as its processor wants it."""

from __future__ import annotations

from vlkit.processing.geometry import ImageGeometry
from vlkit.vlm_config import VLMConfig


def geometry_of(config: VLMConfig) -> ImageGeometry:
    """Layout, resolutions, grids and cropping of a model's pictures."""
    return ImageGeometry(
        layout=config.layout,
        candidate_resolutions=config.candidate_resolutions,
        grid_of=config.grid_of,
        cropping=config.cropping,
        global_view_size=config.global_view_size,
    )
