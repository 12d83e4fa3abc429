"""Projectors against DeepSeek-OCR's implementation (golden c5), and what cannot run there."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.parity import GOLDEN, cases, numbers, settings, weights
from tests.refusal import NoTensors
from tests.tolerances import PROJECTOR
from vlkit.checkpoint.keymap import KeyMap
from vlkit.checkpoint.rules import Rule
from vlkit.errors import VlkitError
from vlkit.projectors import ConvFusionConfig, DownsampleMlpGeluConfig, Projector, ProjectorConfig, projectors

PART = "c5_projectors"
CASES = [case for case in cases(PART) if not case.startswith("x_")]
ERRORS = {case["name"]: case for case in json.loads((GOLDEN / PART / "errors.json").read_text())}
MENDED = {"x_unknown", "x_linear_on_non_square_grid_pooling"}
"""What fails in the official code and is right here: its names do not include ours, its grids are always squares."""

PLAIN = KeyMap([Rule("{rest}", "{rest}")])
FUSED = KeyMap([Rule("fusion_layer.{rest}", "fusion_layer.{rest}"), Rule("{rest}", "projector.{rest}")])
SHARED = KeyMap([Rule("layers.{rest}", None), Rule("{rest}", "{rest}")])
"""In `low_high_split_mlp_gelu`, the official `layers` are the `high_layers` under a second name."""


def translated(official: dict[str, Any]) -> ProjectorConfig:
    """Our config of an official one, whose depth is 1 if it is not given."""
    kind, fields = official["projector_type"], {}
    if "mlp_gelu" in kind:
        fields["depth"] = official.get("depth", 1)
    if kind.endswith("downsample_mlp_gelu"):
        fields["norm"], kind = kind.startswith("normlayer"), "downsample_mlp_gelu"
        fields |= {name: official.get(name, {}) for name in ("downsample_ratio", "mlp_ratio")}
    if kind == "hybrid_split_feature_mlp_gelu":
        fields |= {"high_width": official["input_dim"][0], "channel_div": official.get("channel_div", 0.5)}
    if official.get("token_pooling"):
        fields["pool_first" if kind == "downsample_mlp_gelu" else "token_pooling"] = True
    if official.get("conv_fusion_high_low_features"):
        return ConvFusionConfig(projector={"type": kind, **fields})
    return projectors.resolve(kind, **fields)


def side_by_side(official: dict[str, Any], x: Tensor) -> Tensor:
    """The official input with the features of two towers, if there are two, in one row of channels."""
    if official.get("conv_fusion_high_low_features"):
        return torch.cat([x[:, 0], x[:, 1]], dim=-1)
    return torch.cat([x[0], x[1]], dim=-1) if official["projector_type"].startswith("low_high") else x


def project(projector: Projector, x_NPW: Tensor) -> Tensor:
    """Output as a sequence, for a sequence that is a square grid."""
    side = int(x_NPW.shape[1] ** 0.5)
    return projector(x_NPW.unflatten(1, (side, -1))).flatten(1, 2)


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_the_official_ones(case: str) -> None:
    official, tensors = settings(PART, case), numbers(PART, case)
    config, x_NPW = translated(official), side_by_side(official, tensors["input"])
    projector = projectors.build(config, in_dim=x_NPW.shape[-1], out_dim=tensors["output"].shape[-1])
    keymap = FUSED if isinstance(config, ConvFusionConfig) else SHARED if "low_high_split" in case else PLAIN
    projector.load_state_dict(keymap.from_theirs(weights(PART, case)))
    torch.testing.assert_close(project(projector, x_NPW), tensors["output"], rtol=0, atol=PROJECTOR)


def test_every_official_variant_is_compared() -> None:
    described = json.loads((GOLDEN / PART / "meta.json").read_text())["variants"]
    assert {variant["name"] for variant in described if not variant["name"].startswith("x_")} == set(CASES)


@pytest.mark.parametrize("name", sorted(ERRORS.keys() - MENDED))
def test_what_cannot_run_there_is_refused_here_before_anything_is_made(name: str) -> None:
    official, shape = ERRORS[name]["config"], ERRORS[name]["input_shape"]
    in_dim = shape[-1] * (2 if len(shape) == 4 else 1)
    with pytest.raises(VlkitError), NoTensors():  # type: ignore[no-untyped-call]
        projectors.build(translated(official), in_dim=in_dim, out_dim=official["n_embed"])


@pytest.mark.parametrize("name", sorted(MENDED))
def test_what_is_wrong_there_alone_runs_here(name: str) -> None:
    official, x_NPW = ERRORS[name]["config"], torch.zeros(ERRORS[name]["input_shape"])
    projector = projectors.build(translated(official), in_dim=x_NPW.shape[-1], out_dim=official["n_embed"])
    assert project(projector, x_NPW).shape[-1] == official["n_embed"]


def test_two_poolings_in_a_row_are_one_merge() -> None:
    config = translated(settings(PART, "token_pooling_downsample_mlp_gelu_6x6"))
    assert isinstance(config, DownsampleMlpGeluConfig)
    assert (config.pool_first, config.merge) == (True, 4)
