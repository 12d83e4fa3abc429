"""Laws of the key map: there and back is the same, every tensor has exactly one place, misfits are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from safetensors.torch import load_file
from torch import Tensor

from tests.checkpoint.small import KEYMAP, official, same, sizes
from vlkit.checkpoint import KeyMap, Rule, Squeeze, Stack, Unsqueeze
from vlkit.checkpoint.rules import Shape
from vlkit.errors import CheckpointError, ConfigError


def shapes(tensors: dict[str, Tensor]) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


@given(sizes)
def test_there_and_back_is_the_same_in_both_directions(size: dict[str, Any]) -> None:
    theirs = official(**size)
    ours = KEYMAP.from_theirs(theirs)
    assert same(KEYMAP.to_theirs(ours), theirs)
    assert same(KEYMAP.from_theirs(KEYMAP.to_theirs(ours)), ours)


@given(sizes)
def test_names_and_shapes_agree_with_tensors_in_both_directions(size: dict[str, Any]) -> None:
    theirs = official(**size)
    ours = KEYMAP.from_theirs(theirs)
    assert KEYMAP.our_names(shapes(theirs)) == shapes(ours)
    assert KEYMAP.their_names(shapes(ours)) == shapes(theirs)


@given(sizes)
def test_every_official_tensor_has_one_place_and_every_number_is_filled_once(size: dict[str, Any]) -> None:
    theirs = shapes(official(**size))
    ours = KEYMAP.our_names(theirs)
    plan = KEYMAP.plan(theirs, ours)
    assert sorted(slot.theirs for slots in plan.values() for slot in slots) == sorted(theirs)
    for name, slots in plan.items():
        filled = torch.zeros(ours[name], dtype=torch.int)
        for slot in slots:
            assert filled[slot.index].shape == slot.shape == theirs[slot.theirs]
            filled[slot.index] += 1
        assert filled.eq(1).all()


def test_numbers_land_where_the_rules_say() -> None:
    theirs = official(experts=3, hidden=2)
    ours = KEYMAP.from_theirs(theirs)
    assert torch.equal(ours["layout.newline"][0], theirs["image_newline"])
    assert torch.equal(ours["encoder.position"], theirs["vision.pos_embed"][0])
    fused = ours["layers.1.experts.gate_up"]
    assert torch.equal(fused[2, :2], theirs["language.layers.1.mlp.experts.2.gate.weight"])
    assert torch.equal(fused[2, 2:], theirs["language.layers.1.mlp.experts.2.up.weight"])
    assert torch.equal(ours["layers.1.experts.down"][1], theirs["language.layers.1.mlp.experts.1.down.weight"])


def test_official_tensors_are_views_of_ours_and_whole_ones_of_ours_are_views_of_theirs() -> None:
    theirs = official()
    ours = KEYMAP.from_theirs(theirs)
    for name in ("layout.newline", "encoder.position", "embed.weight"):
        assert ours[name].data_ptr() in {tensor.data_ptr() for tensor in theirs.values()}
    storages = {tensor.untyped_storage().data_ptr() for tensor in ours.values()}
    assert all(t.untyped_storage().data_ptr() in storages for t in KEYMAP.to_theirs(ours).values())


def test_the_official_layout_goes_there_and_back(golden: Path) -> None:
    layer = "language.model.layers.{layer}."
    keymap = KeyMap(
        [
            Rule("image_newline", "layout.image_newline", Unsqueeze()),
            Rule("view_seperator", "layout.view_separator", Unsqueeze()),
            Rule("vision.pos_embed", "encoder.position", Squeeze()),
            Rule("vision.{rest}", "encoder.{rest}"),
            Rule("projector.layers.{rest}", "projector.{rest}"),
            Rule(layer + "mlp.experts.{expert}.gate_proj.weight", "layers.{layer}.gate_up", Stack("expert"), (0, 2)),
            Rule(layer + "mlp.experts.{expert}.up_proj.weight", "layers.{layer}.gate_up", Stack("expert"), (1, 2)),
            Rule(layer + "mlp.experts.{expert}.down_proj.weight", "layers.{layer}.down", Stack("expert")),
            Rule(layer + "{rest}", "layers.{layer}.{rest}"),
            Rule("language.{rest}", "{rest}"),
        ]
    )
    theirs = load_file(golden / "a2_mha_greedy_2d_head" / "model.safetensors")
    ours = keymap.from_theirs(theirs)
    assert ours["layers.1.gate_up"].shape[0] == 12
    assert not any("experts.0" in name for name in ours)
    assert same(keymap.to_theirs(ours), theirs)


def test_tensors_that_a_rule_leaves_out_are_not_asked_for_and_not_refused() -> None:
    theirs = official()
    extra = theirs | {"language.layers.0.rotary.inv_freq": torch.ones(2)}
    assert same(KEYMAP.from_theirs(extra), KEYMAP.from_theirs(theirs))


def test_unknown_missing_and_misshapen_tensors_are_all_named() -> None:
    theirs = shapes(official())
    ours = KEYMAP.our_names(theirs)
    theirs["image_newlines"] = theirs.pop("image_newline")
    del theirs["language.layers.1.mlp.experts.2.up.weight"]
    theirs["language.embed.weight"] = (7, 4)
    with pytest.raises(CheckpointError) as caught:
        KEYMAP.plan(theirs, ours)
    message = str(caught.value)
    assert "1 unknown, 2 missing, 1 of another shape" in message
    assert "unknown 'image_newlines'; the nearest expected name is 'image_newline'" in message
    assert "missing 'language.layers.1.mlp.experts.2.up.weight' (here 'layers.1.experts.gate_up')" in message
    assert "'language.embed.weight' is [7, 4], expected [5, 4] (here 'embed.weight')" in message


def test_long_lists_are_cut_but_counted() -> None:
    theirs = shapes(official(layers=3, experts=4))
    ours = KEYMAP.our_names(theirs)
    gone = {name: shape for name, shape in theirs.items() if ".experts." not in name}
    with pytest.raises(CheckpointError, match=r"and 31 more") as caught:
        KEYMAP.plan(gone, ours)
    assert str(caught.value).count("- missing") == 5


def test_a_gap_among_stacked_tensors_is_found_whatever_their_numbers() -> None:
    theirs = official()
    theirs["language.layers.0.mlp.experts.987654321.down.weight"] = theirs.pop(
        "language.layers.0.mlp.experts.1.down.weight"
    )
    with pytest.raises(CheckpointError, match=r"experts\.1\.down"):
        KEYMAP.from_theirs(theirs)


def test_stacked_tensors_have_one_dtype() -> None:
    theirs = official()
    name = "language.layers.0.mlp.experts.1.down.weight"
    with pytest.raises(CheckpointError, match="one dtype"):
        KEYMAP.from_theirs(theirs | {name: theirs[name].half()})


def test_a_parameter_without_official_name_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"'layers\.0\.extra' has no official name"):
        KEYMAP.their_names({"layers.0.extra": (2,)})


def test_a_shape_that_a_rule_cannot_hold_for_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"'layout.newline' is \[2, 4\]"):
        KEYMAP.their_names({"layout.newline": (2, 4)})
    with pytest.raises(CheckpointError, match=r"'vision.pos_embed' is \[2, 3, 4\]"):
        KEYMAP.our_names({"vision.pos_embed": (2, 3, 4)})


def test_rules_that_leave_a_part_open_or_fill_it_twice_are_refused() -> None:
    for second in ((0, 2), (1, 3)):
        with pytest.raises(ConfigError, match="parts"):
            KeyMap([Rule("a", "c", part=(0, 2)), Rule("b", "c", part=second)])
    with pytest.raises(ConfigError, match="parts"):
        KeyMap([Rule("a", "c", part=(0, 2))])


def test_rules_that_do_not_lead_back_are_refused() -> None:
    keymap = KeyMap([Rule("a.{rest}", "b.{rest}"), Rule("a.special", "c")])
    with pytest.raises(ConfigError, match="falls to"):
        keymap.their_names({"c": (1,)})
