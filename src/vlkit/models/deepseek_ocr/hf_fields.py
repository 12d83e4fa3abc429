"""Fields of the official config file with their defaults, as data."""

from __future__ import annotations

from typing import Any

from vlkit.models.deepseek_vl2.hf_fields import LANGUAGE_DEFAULTS
from vlkit.models.deepseek_vl2.hf_fields import UNUSED as UNUSED_IN_VL2

TOP_DEFAULTS: dict[str, Any] = {
    "model_type": "deepseek_vl_v2",
    "tile_tag": "2D",
    "vision_config": {},
    "projector_config": {},
    "language_config": {},
    "head_dim": ...,
    **dict.fromkeys(LANGUAGE_DEFAULTS, ...),
}
"""Whole model; the ellipsis stands for copies of the decoder's fields, which the file may leave out."""

VISION_DEFAULTS: dict[str, Any] = {"image_size": 1024, "width": {}}
"""Vision tower; `image_size` is that of SAM."""

WIDTH_DEFAULTS: dict[str, Any] = {"clip-l-14-224": {}, "sam_vit_b": {}}
"""The two networks of the tower, by the names of their released sizes."""

CLIP_DEFAULTS: dict[str, Any] = {"heads": 16, "image_size": 224, "layers": 24, "patch_size": 14, "width": 1024}
"""CLIP."""

SAM_DEFAULTS: dict[str, Any] = {
    "downsample_channels": [512, 1024],
    "global_attn_indexes": [2, 5, 8, 11],
    "heads": 12,
    "layers": 12,
    "width": 768,
    "out_chans": 256,
    "patch_size": 16,
    "window_size": 14,
}
"""SAM; the released file leaves out the last three, which are arguments of the official class."""

PROJECTOR_DEFAULTS: dict[str, Any] = {"projector_type": "linear", "input_dim": 2048, "n_embed": 1280}
"""Projector."""

RELICS: dict[str, Any] = {"candidate_resolutions": [[1024, 1024]], "global_view_pos": "head"}
"""Fields of DeepSeek-VL2 that the official file repeats and its code ignores: the modes say how pictures are cut, and
the tiles come first."""

UNUSED = UNUSED_IN_VL2 | RELICS.keys() | {"_attn_implementation_autoset"}
"""Keys that official files hold and that have no effect on what the model computes."""

UNUSED_IN_VISION = frozenset({"mlp_ratio", "model_name", "model_type"})
"""Likewise in `vision_config`; the ratio is DeepSeek-VL2's, both networks have 4."""
