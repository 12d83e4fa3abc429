"""Checkpoints of transformers' vision models: weights, and how pixels are normalised for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from vlkit.encoders.hf_tower import vision_config
from vlkit.errors import CheckpointError
from vlkit.foreign.extras import load_extra, refusals_of
from vlkit.foreign.hf_config import LIBRARY, content_of, read_content, require_all

Colours = tuple[float, float, float]


def load_tower(
    name_or_path: str | Path, *, revision: str | None, dtype: torch.dtype | None
) -> tuple[dict[str, Any], Any]:
    """Content and model of a checkpoint.

    Raises:
        ConfigError: if transformers is missing or does not know the model.
        CheckpointError: if files are missing or damaged, or lack weights of the model.
    """
    content = read_content(name_or_path, revision=revision)
    config = vision_config(content)
    if config.model_type != content["model_type"]:
        content = content_of(config)
    with refusals_of(LIBRARY, f"{name_or_path} cannot be loaded", error=CheckpointError):
        tower, report = load_extra(LIBRARY).AutoModel.from_pretrained(
            str(name_or_path),
            revision=revision,
            config=config,
            dtype=dtype or "auto",
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    require_all(name_or_path, report)
    return content, tower


def normalisation(name_or_path: str | Path, *, revision: str | None) -> dict[str, Colours]:
    """Mean and std of the checkpoint's preprocessing, for pixels of 0 to 1; nothing if it tells none."""
    try:
        told, _ = load_extra(LIBRARY).ImageProcessingMixin.get_image_processor_dict(
            str(name_or_path), revision=revision
        )
    except OSError:
        return {}
    if told.get("do_normalize") is False:
        told |= {"image_mean": (0.0, 0.0, 0.0), "image_std": (1.0, 1.0, 1.0)}
    if "image_mean" not in told or "image_std" not in told:
        return {}
    white = 255.0 if told.get("do_rescale") is False else round(255 * told.get("rescale_factor", 1 / 255), 9)
    (red, green, blue), (red_std, green_std, blue_std) = told["image_mean"], told["image_std"]
    return {
        "mean": (red / white, green / white, blue / white),
        "std": (red_std / white, green_std / white, blue_std / white),
    }
