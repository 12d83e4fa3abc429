"""What trains, at which rate, with which decay."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import vlkit
from tests.small_models import small_configs
from vlkit.errors import ConfigError
from vlkit.nn.router import Router
from vlkit.training import Group, PartTraining, parameter_groups, trainable_table
from vlkit.vlm import VLM

trainings = st.builds(
    PartTraining,
    train=st.booleans(),
    lr=st.none() | st.floats(0, 1),
    weight_decay=st.none() | st.floats(0, 1),
)
names = st.sampled_from(
    ["encoder", "projector", "layout", "decoder.embed_tokens", "decoder.layers", "decoder.layers.0"]
)


def mini(**fields: object) -> VLM:
    return vlkit.build(vlkit.presets["mini"], device="meta")


def groups_of(model: VLM, parts: dict[str, PartTraining]) -> list[Group]:
    return parameter_groups(model, parts, lr=3e-4, weight_decay=0.1)


@given(small_configs(), st.dictionaries(names, trainings))
def test_every_parameter_is_in_one_group_that_says_what_becomes_of_it(
    config: vlkit.VLMConfig, parts: dict[str, PartTraining]
) -> None:
    model = vlkit.build(config, device="meta")
    parts = {part: training for part, training in parts.items() if list(_parameters(model, part))}
    groups = groups_of(model, {**parts, "decoder.norm": PartTraining()})
    seen = [name for group in groups for name in group.names]
    assert sorted(seen) == sorted(name for name, _ in model.named_parameters())
    assert len({id(each) for group in groups for each in group.parameters}) == len(seen)
    for group in groups:
        for name, parameter in zip(group.names, group.parameters, strict=True):
            assert parameter is model.get_parameter(name) and parameter.requires_grad == group.trains
            if parameter.ndim < 2 or not group.trains:
                assert group.weight_decay == 0
        assert group.trains or group.lr == 0
        own = parts.get(group.part)
        if own is not None and group.trains:
            assert own.train and group.lr == (3e-4 if own.lr is None else own.lr)


def _parameters(model: VLM, part: str) -> list[str]:
    return [name for name, _ in model.named_parameters() if name.startswith(f"{part}.")]


def test_the_longest_name_counts() -> None:
    parts = {
        "decoder": PartTraining(train=False),
        "decoder.layers.1": PartTraining(lr=1e-3),
        "encoder": PartTraining(lr=0.5),
    }
    model = mini()
    groups_of(model, parts)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name for name in trained if name.startswith("decoder")} == set(_trainable(model, "decoder.layers.1"))


def _trainable(model: VLM, part: str) -> list[str]:
    return [name for name in _parameters(model, part) if not name.endswith("e_score_correction_bias")]


def test_what_no_gradient_reaches_stays_frozen() -> None:
    model = vlkit.build(vlkit.presets["mini"])
    idle = {id(each) for module in model.encoder.idle_modules() for each in module.parameters()}
    biases = {id(m.e_score_correction_bias) for m in model.modules() if isinstance(m, Router)}
    assert idle and biases
    groups_of(model, {})
    assert {id(each) for each in model.parameters() if not each.requires_grad} == idle | biases


def test_a_frozen_part_trains_again_when_it_is_asked_to() -> None:
    model = mini()
    groups_of(model, {"decoder": PartTraining(train=False)})
    groups_of(model, {})
    assert model.get_parameter("decoder.norm.weight").requires_grad


def test_separators_have_no_decay() -> None:
    groups = [group for group in groups_of(mini(), {}) if group.part == "layout"]
    assert groups and all(group.trains and group.weight_decay == 0 for group in groups)


@pytest.mark.parametrize(
    ("part", "nearest"),
    [("encodr", "encoder"), ("decoder.lm_hed", "decoder.lm_head"), ("decoder.layers.9", "decoder.layers")],
)
def test_unknown_parts_are_refused(part: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=f"no part '{part}'; did you mean '{nearest}"):
        groups_of(mini(), {part: PartTraining()})


def test_a_model_of_which_nothing_trains_is_refused() -> None:
    frozen = dict.fromkeys(("encoder", "projector", "layout", "decoder"), PartTraining(train=False))
    with pytest.raises(ConfigError, match="no part trains"):
        groups_of(mini(), frozen)


def test_the_table_says_what_trains() -> None:
    parts = {"encoder": PartTraining(train=False), "decoder.lm_head": PartTraining(lr=1e-4, weight_decay=0.0)}
    table = trainable_table(groups_of(mini(), parts)).splitlines()
    assert table[0].split() == ["part", "parameters", "rate", "decay"]
    assert [table[1].split()[0], table[1].split()[2]] == ["encoder", "frozen"]
    assert any(line.split() == ["decoder.lm_head", "61,440", "0.0001", "0"] for line in table)
    total = sum(parameter.numel() for parameter in mini().parameters())
    assert table[-1].split()[0] == "trains" and f"of {total:,}" in table[-1] and table[-1].endswith("%")


def test_groups_fit_the_optimiser() -> None:
    groups = groups_of(vlkit.build(vlkit.presets["mini"]), {"encoder": PartTraining(train=False)})
    tables = [{"params": g.parameters, "lr": g.lr, "weight_decay": g.weight_decay} for g in groups if g.trains]
    assert len(torch.optim.AdamW(tables).param_groups) == len(tables)
