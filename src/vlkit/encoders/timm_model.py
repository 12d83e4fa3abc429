"""Models of timm: built, loaded, run, and known without weights."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vlkit.errors import CheckpointError, ConfigError, did_you_mean
from vlkit.foreign import building
from vlkit.foreign.extras import load_extra, refusals_of
from vlkit.foreign.features import Features
from vlkit.foreign.unused import unused_modules
from vlkit.notation import Grid, Size

if TYPE_CHECKING:
    from vlkit.encoders.timm import TimmConfig

LIBRARY = "timm"


@lru_cache(maxsize=256)
def published(model: str) -> dict[str, Any]:
    """What timm says of a model's published weights: `input_size`, `mean`, `std`, where they are.

    Raises:
        ConfigError: if timm is missing, has no such model or tag, or the model takes other than three colours.
    """
    timm = load_extra(LIBRARY)
    name, _, tag = model.partition(".")
    if name not in (known := timm.list_models()):
        raise ConfigError(f"timm has no model {model!r}; {did_you_mean(name, known)}")
    with refusals_of(LIBRARY, f"{model!r} has no weights of the tag {tag!r}"):
        about: dict[str, Any] = timm.get_pretrained_cfg(model).to_dict()
    if len(about["mean"]) != 3:
        raise ConfigError(f"{model!r} takes {len(about['mean'])} colours", rule="an encoder takes three")
    return about


def make_timm(config: TimmConfig) -> Any:
    """New model without its classifier.

    Raises:
        ConfigError: if timm cannot build it.
    """
    with refusals_of(LIBRARY, f"{config.model!r} cannot be built"):
        return _create(config)


def load_timm(config: TimmConfig, file: str | Path | None) -> Any:
    """Model with weights from a safetensors file: the given one, or None: the published one.

    The model is made with its classifier, so that timm compares all names, and loses it then.

    Raises:
        CheckpointError: if there are no such weights, or they do not fit.
    """
    source = _on_the_hub(config) if file is None else {"file": _safe(str(file))}
    with refusals_of(LIBRARY, f"weights of {config.model!r} cannot be loaded", error=CheckpointError):
        return _create(config, pretrained=True, pretrained_cfg_overlay={"url": "", "custom_load": False, **source})


def run_timm(config: TimmConfig, model: Any, pixels: Tensor) -> Any:
    """Features as timm gives them: float[N, P, W], float[N, Y, X, W] or float[N, W, Y, X]."""
    if config.select_layer is None:
        return model.forward_features(pixels)
    layers = config.select_layer if isinstance(config.select_layer, tuple) else (config.select_layer,)
    return torch.cat(
        model.forward_intermediates(
            pixels, indices=list(layers), norm=config.norm, stop_early=True, output_fmt="NCHW", intermediates_only=True
        ),
        dim=1,
    )


def width_last(config: TimmConfig, model: Any) -> bool:
    """Whether grids of features are float[N, Y, X, W]."""
    return config.select_layer is None and getattr(model, "output_fmt", "NCHW") == "NHWC"


@lru_cache(maxsize=256)
def features_of(config: TimmConfig, size: Size) -> Features:
    """What the model makes of a tile, learned from a pass without numbers.

    Raises:
        ConfigError: if it does not take the tile, has no such layer, or gives no grid.
    """
    model = _survey(config)
    with torch.device("meta"), torch.no_grad(), refusals_of(LIBRARY, f"{config.model!r} on tiles of {size} pixels"):
        pixels = torch.empty(1, 3, size.height, size.width)
        out = run_timm(config, model, pixels)
        if isinstance(out, Tensor) and out.ndim == 4:
            rows, cols, width = out.shape[1:] if width_last(config, model) else (*out.shape[2:], out.shape[1])
            return Features(width, Grid(rows, cols), prefix=0)
        grid = Grid(*model.forward_intermediates(pixels, indices=[-1], intermediates_only=True)[-1].shape[2:])
    named = getattr(model, "num_prefix_tokens", None)
    prefix = out.shape[1] - grid.area if isinstance(out, Tensor) and out.ndim == 3 else -1
    if prefix < 0 or named not in (None, prefix):
        raise ConfigError(
            f"final features of {config.model!r} are no grid",
            rule="they are rows and columns, behind the class and register tokens that the model names",
            remedy="choose select_layer",
        )
    return Features(out.shape[2], grid, prefix)


@lru_cache(maxsize=64)
def flops_of(config: TimmConfig, size: Size) -> int:
    """Floating-point operations for one tile."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        run_timm(config, _survey(config), torch.empty(1, 3, size.height, size.width))
    return counter.get_total_flops()


@lru_cache(maxsize=64)
def unused_of(config: TimmConfig) -> tuple[str, ...]:
    """Names of the submodules that the features do not depend on."""
    pixels = torch.empty(1, 3, config.tile_size.height, config.tile_size.width, device="meta")
    model = building.survey(lambda: make_timm(config)).eval()
    return unused_modules(model, lambda model: run_timm(config, model, pixels))


@lru_cache(maxsize=16)
def _survey(config: TimmConfig) -> Any:
    return building.survey(lambda: make_timm(config)).eval()


def _create(config: TimmConfig, **options: Any) -> Any:
    if config.image_size is not None and config.published.get("fixed_input_size"):
        options["img_size"] = (config.tile_size.height, config.tile_size.width)
    if config.dynamic_size:
        options["dynamic_img_size"] = True
    model = load_extra(LIBRARY).create_model(config.model, **options)
    if hasattr(model, "reset_classifier"):
        model.reset_classifier(0)
    return model


def _on_the_hub(config: TimmConfig) -> dict[str, str]:
    if not config.published.get("hf_hub_id"):
        raise CheckpointError(
            f"timm publishes no weights of {config.model!r} on the hub",
            rule="weights are safetensors files",
            remedy="add the tag of published weights behind a point, see timm.list_pretrained(), or pass file",
        )
    return {"hf_hub_filename": "model.safetensors"}


def _safe(file: str) -> str:
    if not file.endswith(".safetensors"):
        raise CheckpointError(f"{file} is no safetensors file", rule="weights are safetensors files, never pickles")
    return file
