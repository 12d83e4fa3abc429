"""The official `vision_config` in both directions: one SigLIP, or SAM and SigLIP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlkit.encoders import HybridConfig, SamConfig, SigLIPConfig
from vlkit.errors import did_you_mean
from vlkit.models.deepseek_vl.hf_fields import (
    HYBRID_DEFAULTS,
    SAM_TOWERS,
    SECTION_DEFAULTS,
    SIGLIP_TOWERS,
    TOWER_DEFAULTS,
    TOWER_UNUSED,
    UNUSED,
)
from vlkit.models.official import complete, require, require_official, section

SINGLE, HYBRID = "CLIPVisionTower", "HybridVisionTower"
PATH = "vision_config.params."


def class_and_params(top: Mapping[str, Any], name: str) -> tuple[str, Mapping[str, Any]]:
    """Class of a section, without the modules that may stand before it, and its arguments."""
    fields = complete(section(top, name), SECTION_DEFAULTS, prefix=f"{name}.", unused=UNUSED)
    require(isinstance(fields["cls"], str), f"{name}.cls is a {type(fields['cls']).__name__}", "it names a class")
    return fields["cls"].rpartition(".")[2], section(fields, "params", prefix=f"{name}.")


def require_given(fields: Mapping[str, Any], path: str) -> None:
    """Refuse a section that leaves out what has no default.

    Raises:
        ConfigError: naming the first such field.
    """
    for name, value in fields.items():
        require(value is not ..., f"{path}{name} is missing", "the official class has no default for it")


def encoder_fields(top: Mapping[str, Any], *, side_by_side: bool) -> dict[str, Any]:
    """Fields of the encoder's config.

    Args:
        top: content of the official file.
        side_by_side: whether the projector takes the features of two towers as one, not each alone.

    Raises:
        ConfigError: if there is no such tower, or it is made in a way that the official model cannot run.
    """
    kind, params = class_and_params(top, "vision_config")
    require(kind in (SINGLE, HYBRID), f"vision_config.cls {kind!r:.80}", f"it is {SINGLE!r} or {HYBRID!r}")
    if kind == SINGLE:
        tower = _tower(params, PATH)
        for name in ("pixel_mean", "pixel_std"):
            require(
                tower[name] is None,
                f"{PATH}{name} {tower[name]!r:.80}",
                f"the processor has normalised the pixels that {SINGLE} takes",
                "leave it out",
            )
        return _siglip(tower, PATH)
    hybrid = complete(params, HYBRID_DEFAULTS, prefix=PATH, unused=TOWER_UNUSED)
    require_given(hybrid, PATH)
    expected = "feature" if side_by_side else "tuple"
    require(
        hybrid["concat_type"] == expected,
        f"{PATH}concat_type {hybrid['concat_type']!r:.80}",
        f"it is {expected!r} with this projector",
    )
    high_path, low_path = f"{PATH}high_res_cfg.", f"{PATH}low_res_cfg."
    high = _tower(section(hybrid, "high_res_cfg", prefix=PATH), high_path)
    low = _tower(section(hybrid, "low_res_cfg", prefix=PATH), low_path)
    fields: dict[str, Any] = {"high": _sam(high, high_path), "low": _siglip(low, low_path)}
    _require_width(high, fields["high"]["downsample_channels"][-1], high_path)
    _require_width(low, fields["low"]["width"], low_path)
    for name, values in _normalisation(SigLIPConfig()).items():
        require(low[name] == values, f"{low_path}{name} {low[name]!r:.80}", f"SigLIP's is {values}")
    return {"type": "hybrid", **fields}


def official_vision(encoder: Any, *, side_by_side: bool) -> dict[str, Any]:
    """Content of a `vision_config`.

    Raises:
        ConfigError: if the official code has no name or field for something in this config.
    """
    if isinstance(encoder, SigLIPConfig):
        return {"cls": SINGLE, "model_type": "vision", "params": _official_siglip(encoder, "encoder")}
    require_official(isinstance(encoder, HybridConfig), "encoder", encoder.type)
    require_official(encoder.neck_grid == HybridConfig().neck_grid, "encoder.neck_grid", encoder.neck_grid)
    params = {
        "concat_type": "feature" if side_by_side else "tuple",
        "freeze_high": True,
        "freeze_low": True,
        "high_res_cfg": _official_sam(encoder.high, "encoder.high"),
        "low_res_cfg": _official_siglip(encoder.low, "encoder.low")
        | _normalisation(encoder.low)
        | {"output_dim": encoder.low.feature_dim},
    }
    return {"cls": HYBRID, "model_type": "vision", "params": params}


def _tower(given: Mapping[str, Any], path: str) -> dict[str, Any]:
    tower = complete(given, TOWER_DEFAULTS, prefix=path, unused=TOWER_UNUSED)
    require(tower["ignore_head"] is True, f"{path}ignore_head false", "the model needs features, not a pooled vector")
    return tower


def _siglip(tower: Mapping[str, Any], path: str) -> dict[str, Any]:
    fields, select = _named(tower, SIGLIP_TOWERS, path), tower["select_layer"]
    require(isinstance(select, int), f"{path}select_layer {select!r:.80}", "it is a whole number")
    layers = fields["layers"]
    run = min(layers, select if select > 0 else layers + select + 1)
    return {"type": "siglip", "image_size": tower["image_size"], "activation": "gelu", **fields, "layers": run}


def _sam(tower: Mapping[str, Any], path: str) -> dict[str, Any]:
    raw = tower["pixel_mean"] is None or tower["pixel_std"] is None
    return {
        "type": "sam",
        "image_size": tower["image_size"],
        "image_mean": [0.0, 0.0, 0.0] if raw else tower["pixel_mean"],
        "image_std": [1.0, 1.0, 1.0] if raw else tower["pixel_std"],
        **_named(tower, SAM_TOWERS, path),
    }


def _named(tower: Mapping[str, Any], towers: Mapping[str, Mapping[str, Any]], path: str) -> dict[str, Any]:
    name = tower["model_name"]
    require(
        isinstance(name, str) and name in towers,
        f"{path}model_name {name!r:.80}; {did_you_mean(str(name)[:80], towers)}",
        "it is a tower that the official code has sizes for",
    )
    return dict(towers[name])


def _require_width(tower: Mapping[str, Any], width: int, path: str) -> None:
    require(
        tower["output_dim"] == width,
        f"{path}output_dim {tower['output_dim']!r:.80} of a tower of width {width}",
        "it is the width of the tower's features",
    )


def _normalisation(encoder: SamConfig | SigLIPConfig) -> dict[str, Any]:
    return {"pixel_mean": list(encoder.pixel_mean), "pixel_std": list(encoder.pixel_std)}


def _official_siglip(encoder: SigLIPConfig, path: str) -> dict[str, Any]:
    require_official(isinstance(encoder.image_size, int), f"{path}.image_size", encoder.image_size)
    towers = [
        _written(name, encoder.image_size, encoder.layers - sizes["layers"] - 1)
        for name, sizes in SIGLIP_TOWERS.items()
    ]
    found = [tower for tower in towers if _is_same(encoder, _siglip(_tower(tower, path), path))]
    return _the_known_one(found, encoder, path, SIGLIP_TOWERS)


def _official_sam(encoder: SamConfig, path: str) -> dict[str, Any]:
    towers = [_written(name, encoder.image_size, -1) | _normalisation(encoder) for name in SAM_TOWERS]
    found = [tower for tower in towers if _is_same(encoder, _sam(_tower(tower, path), path))]
    return _the_known_one(found, encoder, path, SAM_TOWERS) | {"output_dim": encoder.feature_dim}


def _written(name: str, image_size: Any, select_layer: int) -> dict[str, Any]:
    return {"image_size": image_size, "model_name": name, "select_feature": "same", "select_layer": select_layer}


def _is_same(encoder: SamConfig | SigLIPConfig, fields: Mapping[str, Any]) -> bool:
    """Whether a config has these fields and is the default in the others; what saves memory does not count."""
    mine = encoder.replace(gradient_checkpointing=False).model_dump(mode="json")
    return mine == type(encoder)().model_dump(mode="json") | dict(fields)


def _the_known_one(
    found: list[dict[str, Any]], encoder: SamConfig | SigLIPConfig, path: str, towers: Mapping[str, Any]
) -> dict[str, Any]:
    require(
        bool(found),
        f"{path} {encoder.type!r} of {encoder.layers} layers and width {encoder.width} cannot be written to an "
        "official config.json",
        f"the official code has sizes for {', '.join(towers)} alone, with its own defaults in all else",
        "save in vlkit's own format, or use one of these towers",
    )
    return found[0]
