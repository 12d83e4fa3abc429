"""Vision models of transformers: built from content that is not trusted, run, and known without weights."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vlkit.errors import ConfigError
from vlkit.foreign import building
from vlkit.foreign.extras import load_extra, refusals_of
from vlkit.foreign.features import Features
from vlkit.foreign.hf_config import LIBRARY, parse_content
from vlkit.foreign.unused import unused_modules
from vlkit.notation import Grid, Size

MOST_PREFIX = 2
"""Most tokens in front of the patches beside the registers: a class token, and one to distil from."""


def vision_config(content: Mapping[str, Any]) -> Any:
    """A new transformers config of the vision model that this content describes, or is a part of it.

    Raises:
        ConfigError: if there is none.
    """
    config, models = parse_content(content), load_extra(LIBRARY).MODEL_MAPPING
    config = getattr(config, "vision_config", config)
    model = models.get(type(config), None)
    if getattr(model, "main_input_name", None) != "pixel_values" or "timm" in config.model_type:
        raise ConfigError(
            f"model_type {getattr(config, 'model_type', None)!r} is no vision model",
            rule="an encoder takes pixels",
            remedy="take one that AutoModel of transformers has; for models of timm use the encoder 'timm'",
        )
    return config


def make_tower(content: Mapping[str, Any]) -> Any:
    """New model with this content.

    Raises:
        ConfigError: if transformers cannot build it.
    """
    config = vision_config(content)
    with refusals_of(LIBRARY, f"model of model_type {config.model_type!r} cannot be built"):
        return load_extra(LIBRARY).AutoModel.from_config(
            config, dtype=torch.get_default_dtype(), trust_remote_code=False
        )


def native_size(config: Any) -> Size:
    """Width and height of the pictures that a model of this transformers config was made for.

    Raises:
        ConfigError: if the config does not say.
    """
    side = getattr(config, "image_size", None)
    if side is None and getattr(config, "num_patches", None):
        side = math.isqrt(config.num_patches) * config.patch_size
    if side is None:
        raise ConfigError(f"config of {config.model_type!r} has no image_size", remedy="set the encoder's image_size")
    height, width = side if isinstance(side, list | tuple) else (side, side)
    return Size(width, height)


def run_tower(tower: Any, pixels: Tensor, select_layer: int | None) -> Tensor:
    """Features as the model gives them: float[N, P, W] or float[N, W, Y, X]."""
    accepted, config = inspect.signature(tower.forward).parameters, tower.config
    arguments: dict[str, Any] = {"pixel_values": pixels}
    if "spatial_shapes" in accepted:
        arguments = _in_patches(pixels, patch=config.patch_size)
    elif "interpolate_pos_encoding" in accepted:
        arguments["interpolate_pos_encoding"] = Size(pixels.shape[3], pixels.shape[2]) != native_size(config)
    out = tower(**arguments, output_hidden_states=select_layer is not None, return_dict=True)
    return out.last_hidden_state if select_layer is None else out.hidden_states[select_layer]


def features_of(content: Mapping[str, Any], size: Size, select_layer: int | None) -> Features:
    """What the model with this content makes of a tile.

    Raises:
        ConfigError: if it does not take the tile, has no such layer, or gives no grid.
    """
    return _features(json.dumps(content, sort_keys=True), size, select_layer)


def flops_of(content: Mapping[str, Any], size: Size, select_layer: int | None) -> int:
    """Floating-point operations for one tile."""
    return _flops(json.dumps(content, sort_keys=True), size, select_layer)


def unused_of(content: Mapping[str, Any], size: Size, select_layer: int | None) -> tuple[str, ...]:
    """Names of the submodules that the features do not depend on."""
    return _unused(json.dumps(content, sort_keys=True), size, select_layer)


def _in_patches(pixels: Tensor, *, patch: int) -> dict[str, Any]:
    """Arguments of models that take patches of any number of rows and columns."""
    rows, cols = pixels.shape[2] // patch, pixels.shape[3] // patch
    whole = pixels[..., : rows * patch, : cols * patch]
    return {
        "pixel_values": rearrange(whole, "n c (y py) (x px) -> n (y x) (py px c)", py=patch, px=patch),
        "pixel_attention_mask": None,
        "spatial_shapes": torch.tensor([[rows, cols]] * len(pixels), device="cpu"),
    }


def _widths(config: Any) -> tuple[int, ...]:
    """Widths of features that a config names."""
    named = [getattr(config, name, ()) for name in ("hidden_size", "hidden_sizes", "hidden_dim", "embed_dim")]
    return tuple(width for one in named for width in (one if isinstance(one, list | tuple) else [one]))


@lru_cache(maxsize=16)
def _survey(content: str) -> Any:
    return building.survey(lambda: make_tower(json.loads(content))).eval()


@lru_cache(maxsize=256)
def _features(content: str, size: Size, select_layer: int | None) -> Features:
    """Learned from a pass without numbers."""
    tower = _survey(content)
    config, name = tower.config, type(tower).__name__
    with torch.device("meta"), torch.no_grad(), refusals_of(LIBRARY, f"{name} on tiles of {size} pixels"):
        out = run_tower(tower, torch.empty(1, 3, size.height, size.width), select_layer)
    if out.ndim == 4 and out.shape[1] in _widths(config):
        return Features(out.shape[1], Grid(out.shape[2], out.shape[3]), prefix=0)
    patch = getattr(config, "patch_size", None) or max(size) + 1
    down, across = patch if isinstance(patch, list | tuple) else (patch, patch)
    grid = Grid(size.height // down, size.width // across)
    prefix, registers = out.shape[1] - grid.area, getattr(config, "num_register_tokens", None) or 0
    if out.ndim != 3 or not grid.area or not registers <= prefix <= registers + MOST_PREFIX:
        raise ConfigError(
            f"{name} makes {list(out.shape[1:])} of a tile of {size} pixels",
            rule=f"it gives [W, Y, X], or one feature per patch, {grid} here, behind {registers} registers and a class",
            remedy="take the same model from timm with the encoder 'timm', if it merges patches on its way",
        )
    return Features(out.shape[2], grid, prefix)


@lru_cache(maxsize=64)
def _flops(content: str, size: Size, select_layer: int | None) -> int:
    tower = _survey(content)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        run_tower(tower, torch.empty(1, 3, size.height, size.width), select_layer)
    return counter.get_total_flops()


@lru_cache(maxsize=64)
def _unused(content: str, size: Size, select_layer: int | None) -> tuple[str, ...]:
    pixels = torch.empty(1, 3, size.height, size.width, device="meta")
    tower = building.survey(lambda: make_tower(json.loads(content))).eval()
    return unused_modules(tower, lambda tower: run_tower(tower, pixels, select_layer))
