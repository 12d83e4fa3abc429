"""The official config.json both ways: released files, omissions, contradictions, and what it cannot express."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import vlkit
from tests.models.deepseek_vl2.released import BASE, SMALL, TINY
from tests.refusal import refused
from tests.small_models import small_configs
from vlkit.decoders import DeepseekV2Config, MHAConfig, MLAConfig
from vlkit.errors import ConfigError, VlkitError
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.models.deepseek_vl2.hf_fields import LANGUAGE_DEFAULTS, PROJECTOR_DEFAULTS, VISION_DEFAULTS
from vlkit.vlm_config import VLMConfig


@pytest.mark.parametrize(
    ("content", "preset", "special"),
    [
        (TINY, "deepseek-vl2-tiny", (0, 1, 2)),
        (SMALL, "deepseek-vl2-small", (100000, 100001, 100002)),
        (BASE, "deepseek-vl2", (0, 1, 2)),
    ],
    ids=["tiny", "small", "base"],
)
def test_the_released_files_are_the_presets(
    content: dict[str, Any], preset: str, special: tuple[int, int, int]
) -> None:
    config = DeepseekVLV2Config.from_hf(content)
    assert config == vlkit.presets[preset]
    assert isinstance(config.decoder, DeepseekV2Config)
    assert (config.decoder.bos_token_id, config.decoder.eos_token_id, config.decoder.pad_token_id) == special
    assert vlkit.resolve_config(content) == config


@given(small_configs(official=True))
def test_a_config_survives_the_official_form(config: DeepseekVLV2Config) -> None:
    content = config.to_hf()
    assert DeepseekVLV2Config.from_hf(content) == config
    assert content["architectures"] == ["DeepseekVLV2ForCausalLM"]
    assert set(content["language_config"]) >= set(LANGUAGE_DEFAULTS)
    assert set(content["projector_config"]) >= set(PROJECTOR_DEFAULTS)
    assert set(content["vision_config"]) >= set(VISION_DEFAULTS)


@given(small_configs())
def test_the_official_form_is_complete_or_refused(config: DeepseekVLV2Config) -> None:
    """Only how things are computed is lost: it is no part of the model."""
    try:
        content = config.to_hf()
    except ConfigError as error:
        assert error.remedy is not None
        return
    again = DeepseekVLV2Config.from_hf(content)
    assert again.to_hf() == content
    assert again.replace(decoder=computed_alike(again)) == config.replace(decoder=computed_alike(config))


def computed_alike(config: VLMConfig) -> DeepseekV2Config:
    decoder = config.decoder
    assert isinstance(decoder, DeepseekV2Config)
    if isinstance(decoder.attention, MLAConfig):
        decoder = decoder.replace(attention=decoder.attention.replace(mode="auto"))
    if decoder.moe is not None:
        decoder = decoder.replace(moe=decoder.moe.replace(compute="grouped"))
    return decoder


@given(
    st.sampled_from([None, 0, 9, 11, (5, 3), (11, 12)]),
    st.sampled_from([None, 0, 3, 9]),
    st.sampled_from([None, 1, 2, 4]),
)
def test_special_tokens_and_heads_keep_their_meaning(eos: Any, pad: int | None, keys: int | None) -> None:
    decoder = DeepseekV2Config(
        vocab_size=10,
        hidden_size=96,
        attention=MHAConfig(num_attention_heads=4, num_key_value_heads=keys),
        eos_token_id=eos,
        pad_token_id=pad,
    )
    again = DeepseekVLV2Config.from_hf(vlkit.presets["mini"].replace(decoder=decoder).to_hf()).decoder
    assert isinstance(again, DeepseekV2Config)
    assert isinstance(again.attention, MHAConfig)
    assert again.stop_ids == decoder.stop_ids
    fills = [d.padding_id if d.padding_id is not None else next(iter(d.stop_ids), None) for d in (again, decoder)]
    assert fills[0] == fills[1]
    assert again.attention.kv_heads == (keys or 4)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda b: b.encoder("siglip", select_layer=-1), r"encoder\.select_layer -1"),
        (lambda b: b.projector("downsample_mlp_gelu", use_bias=False), r"projector\.use_bias False"),
        (lambda b: b.projector("downsample_mlp_gelu", norm=True), r"projector\.norm True"),
        (lambda b: b.projector("downsample_mlp_gelu", pool_first=True), r"projector\.pool_first True"),
        (
            lambda b: b.encoder("siglip", image_size=(56, 28)).candidate_resolutions((56, 28)),
            r"encoder\.image_size \(56, 28\)",
        ),
        (
            lambda b: b.decoder("deepseek_v2", attention={"type": "mha", "num_attention_heads": 4, "head_dim": 8}),
            r"decoder\.attention\.head_dim 8",
        ),
        (lambda b: b.layout("1D", max_tiles=24), r"layout\.max_tiles 24"),
        (lambda b: b.projector(nn.Identity()), r"projector 'supplied'"),
        (lambda b: b.encoder(nn.Identity(), width=64, image_size=(56, 56), grid=(8, 8)), r"encoder 'supplied'"),
    ],
)
def test_what_the_official_form_cannot_express_is_named(change: Any, path: str) -> None:
    config = change(vlkit.DeepseekVLV2Builder("mini")).config
    with refused(rf"{path} cannot be written to an official config\.json[\s\S]*no field for it[\s\S]*vlkit's own"):
        config.to_hf()


def changed(path: str, value: Any, content: dict[str, Any] = SMALL) -> dict[str, Any]:
    content = copy.deepcopy(content)
    *sections, name = path.split(".")
    place = content
    for section in sections:
        place = place[section]
    place[name] = value
    return content


def without(path: str) -> dict[str, Any]:
    content = copy.deepcopy(SMALL)
    *sections, name = path.split(".")
    del (content[sections[0]] if sections else content)[name]
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed("projector_config.input_dim", 1024), r"input_dim 1024 and vision_config.width 1152[\s\S]*the same"),
        (changed("projector_config.n_embed", 1280), r"n_embed 1280 and language_config.hidden_size 2048[\s\S]*same"),
        (changed("language_config.hiden_size", 3), r"language_config.hiden_size .* did you mean 'hidden_size'\?"),
        (changed("vision_confg", {}), r"vision_confg is not a field .* did you mean 'vision_config'\?[\s\S]*correct"),
        (changed("vision_config.widht", 3), r"vision_config.widht .* did you mean 'width'\?"),
        (without("tile_tag"), r"tile_tag 'tile_tag'[\s\S]*'1D' or '2D'[\s\S]*released models use '2D'"),
        (changed("tile_tag", "3D"), "tile_tag '3D'"),
        (without("language_config.topk_method"), r"topk_method 'gready'[\s\S]*misspelt[\s\S]*'greedy'"),
        (changed("language_config.topk_method", "best"), r"topk_method: .*'greedy'"),
        (
            changed("language_config.rope_scaling", {"type": "yarn", "factor": 4}, TINY),
            r"rope_scaling 'yarn' with multi-head attention",
        ),
        (changed("language_config.rope_scaling", {"type": "yarn"}), r"rope_scaling.factor: Field required"),
        (changed("language_config.rope_scaling", {"rope_type": "yarn"}), "rope_scaling"),
        (changed("projector_config.token_pooling", True), r"token_pooling with projector 'downsample_mlp_gelu'"),
        (changed("projector_config.projector_type", "lineer"), r"'lineer' .* did you mean 'linear'\?"),
        (changed("language_config.hidden_act", "gelu"), r"hidden_act 'gelu'[\s\S]*only 'silu' is supported"),
        (changed("vision_config.ignore_head", False), r"ignore_head false[\s\S]*needs features"),
        (changed("vision_config.deterministic", True), "deterministic true"),
        (changed("vision_config.global_pool", "max"), r"global_pool 'max'[\s\S]*'map'"),
        (changed("vision_config", 3), r"vision_config is a int"),
        (changed("model_type", "deepseek_v2"), r"model_type 'deepseek_v2'[\s\S]*'deepseek_vl_v2'"),
        (changed("candidate_resolutions", 384), r"candidate_resolutions 384[\s\S]*list of \[width, height\]"),
        (changed("candidate_resolutions", [384]), "candidate_resolutions"),
        (changed("candidate_resolutions", [[448, 448]]), "begins with 448x448, encoder 'siglip' takes 384x384"),
        (changed("language_config.num_experts_per_tok", None), "num_experts_per_tok: "),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(content: dict[str, Any], message: str) -> None:
    with refused(message):
        DeepseekVLV2Config.from_hf(content)
    with refused(message):
        vlkit.build(content, dtype=torch.bfloat16)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**6) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(["tiny", "small", "base"]), st.data())
def test_any_value_anywhere_gives_a_config_or_a_clear_error(name: str, data: st.DataObject) -> None:
    content = {"tiny": TINY, "small": SMALL, "base": BASE}[name]
    known = [*content, *(f"language_config.{key}" for key in LANGUAGE_DEFAULTS)]
    known += [f"projector_config.{key}" for key in PROJECTOR_DEFAULTS]
    known += [f"vision_config.{key}" for key in VISION_DEFAULTS]
    try:
        config = DeepseekVLV2Config.from_hf(changed(data.draw(st.sampled_from(known)), data.draw(json_values), content))
    except VlkitError as error:
        assert len(str(error)) > 20
    else:
        assert DeepseekVLV2Config.from_hf(config.to_hf()).to_hf() == config.to_hf()
