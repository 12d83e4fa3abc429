"""The official config.json both ways: the released file, its two copies, contradictions, what it cannot express."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import vlkit
from tests.models.deepseek_ocr.drawn import small_ocr_configs
from tests.models.deepseek_ocr.released import LANGUAGE, RELEASED
from tests.models.deepseek_vl2.released import TINY
from tests.models.deepseek_vl2.test_hf import computed_alike, json_values
from tests.refusal import refused
from vlkit.decoders import DeepseekV2Config
from vlkit.errors import ConfigError, VlkitError
from vlkit.models.deepseek_ocr.config import DeepseekOCRConfig
from vlkit.models.deepseek_ocr.family import DEEPSEEK_OCR
from vlkit.models.deepseek_ocr.hf_fields import SAM_DEFAULTS, TOP_DEFAULTS
from vlkit.models.deepseek_vl2.hf_fields import LANGUAGE_DEFAULTS
from vlkit.models.families import FAMILIES, family_of
from vlkit.models.family import NATIVE


def changed(path: str, value: Any, content: dict[str, Any] = RELEASED) -> dict[str, Any]:
    content = copy.deepcopy(content)
    *sections, name = path.split("/")
    place = content
    for section in sections:
        place = place[section]
    place[name] = value
    return content


def without(*paths: str, content: dict[str, Any] = RELEASED) -> dict[str, Any]:
    content = copy.deepcopy(content)
    for path in paths:
        *sections, name = path.split("/")
        place = content
        for section in sections:
            place = place[section]
        del place[name]
    return content


def test_the_released_file_is_the_preset_and_is_written_again_as_it_was() -> None:
    config = vlkit.resolve_config(RELEASED)
    assert config == DeepseekOCRConfig.from_hf(RELEASED) == vlkit.presets["deepseek-ocr"]
    assert isinstance(config, DeepseekOCRConfig)
    assert isinstance(config.decoder, DeepseekV2Config)
    special = (config.decoder.bos_token_id, config.decoder.eos_token_id, config.decoder.pad_token_id)
    assert (config.mode, special) == ("gundam", (0, 1, 2))
    written, theirs = config.to_hf(), without("_name_or_path", "language_config/auto_map")
    for name, value in theirs["vision_config"]["width"].items():
        assert written["vision_config"]["width"][name] | value == written["vision_config"]["width"][name]
    for name, value in theirs.items():
        if name == "language_config":
            assert written[name] | value == written[name]
        elif name != "vision_config":
            assert written[name] == value


@pytest.mark.parametrize(
    "content",
    [
        without("language_config"),
        without(*LANGUAGE),
        without("vision_config"),
        without("vision_config/width"),
        changed("vision_config/width/sam_vit_b", {}),
        changed("head_dim", 128),
        changed("_attn_implementation_autoset", True),
        {**RELEASED, "aux_loss_alpha": 0.001, "ep_size": 1, "hidden_act": "silu", "rope_theta": 10000.0},
        without("architectures"),
        without("tile_tag", "model_type", "global_view_pos", "candidate_resolutions"),
    ],
)
def test_what_a_file_leaves_out_or_says_more_is_the_same_model(content: dict[str, Any]) -> None:
    assert DeepseekOCRConfig.from_hf(content) == vlkit.presets["deepseek-ocr"]
    assert vlkit.resolve_config(content) == vlkit.presets["deepseek-ocr"]


def test_the_families_tell_their_files_apart() -> None:
    """Both have the same `model_type`."""
    assert RELEASED["model_type"] == TINY["model_type"] == "deepseek_vl_v2"
    assert next(family for family in FAMILIES if family.recognises(RELEASED)) is DEEPSEEK_OCR
    assert not DEEPSEEK_OCR.recognises(TINY)
    for content in (without("architectures"), without("vision_config"), changed("architectures", ["Other"])):
        assert DEEPSEEK_OCR.recognises(content)
    others: list[dict[str, Any]] = [{}, {"vision_config": 3}, {"vision_config": {"width": [3]}}, {"architectures": "x"}]
    for content in others:
        assert not DEEPSEEK_OCR.recognises(content)
    assert family_of(vlkit.presets["mini-ocr"]) is DEEPSEEK_OCR


@given(small_ocr_configs(official=True))
def test_a_config_survives_the_official_form(config: DeepseekOCRConfig) -> None:
    content = config.to_hf()
    assert DeepseekOCRConfig.from_hf(content) == vlkit.resolve_config(content) == config
    assert set(content) >= set(TOP_DEFAULTS) - {"head_dim"}
    assert {name: content[name] for name in LANGUAGE_DEFAULTS}.items() <= content["language_config"].items()
    assert set(content["vision_config"]["width"]["sam_vit_b"]) == set(SAM_DEFAULTS)


@given(small_ocr_configs())
def test_the_official_form_is_complete_or_refused(config: DeepseekOCRConfig) -> None:
    """Only how things are computed is lost: it is no part of the model."""
    try:
        content = config.to_hf()
    except ConfigError as error:
        assert error.remedy is not None
        return
    again = DeepseekOCRConfig.from_hf(content)
    assert again.to_hf() == content
    assert again.replace(decoder=computed_alike(again)) == config.replace(decoder=computed_alike(config))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda c: c.at("tiny"), r"mode 'tiny' cannot be written [\s\S]*with each call[\s\S]*config\.at\(\"gundam\"\)"),
        (lambda c: c.replace(global_view_size=(640, 640)), r"mode None cannot be written"),
        (lambda c: c.replace(layout="2D"), r"layout '2D' cannot be written"),
        (lambda c: c.replace(projector={"type": "linear", "use_bias": False}), "projector LinearConfig"),
        (lambda c: with_sam(c, image_mean=(0.1, 0.2, 0.3)), r"encoder\.sam\.image_mean \(0\.1"),
        (lambda c: with_sam(c, mlp_ratio=2), r"encoder\.sam\.mlp_ratio 2"),
        (lambda c: with_clip(c, activation="gelu"), r"encoder\.clip\.activation 'gelu'"),
        (lambda c: with_clip(c, select_layer=-2), r"encoder\.clip\.select_layer -2"),
        (
            lambda c: c.replace(encoder="siglip", global_view_size=(384, 384), candidate_resolutions=((384, 384),)),
            r"mode None",
        ),
    ],
)
def test_what_the_official_form_cannot_express_is_named(change: Any, path: str) -> None:
    config = change(vlkit.presets["deepseek-ocr"])
    with refused(path):
        config.to_hf()


def with_sam(config: Any, **fields: Any) -> DeepseekOCRConfig:
    return config.replace(encoder=config.encoder.replace(sam=config.encoder.sam.replace(**fields)))


def with_clip(config: Any, **fields: Any) -> DeepseekOCRConfig:
    return config.replace(encoder=config.encoder.replace(clip=config.encoder.clip.replace(**fields)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed("hidden_size", 1024), r"hidden_size 1024 and language_config.hidden_size 1280[\s\S]*says it twice"),
        (changed("language_config/topk_method", "x"), r"topk_method 'greedy' and language_config.topk_method 'x'"),
        (changed("head_dim", 64), r"head_dim 64, hidden_size 1280, 10 heads[\s\S]*share the width equally"),
        (changed("projector_config/input_dim", 1024), r"input_dim 1024 and features of width 2048[\s\S]*sum of their"),
        (changed("projector_config/n_embed", 1024), r"n_embed 1024 and language_config.hidden_size 1280[\s\S]*same"),
        (changed("projector_config/projector_type", "mlp_gelu"), r"projector_type 'mlp_gelu'[\s\S]*linear"),
        (changed("projector_config/depth", 2), r"projector_config.depth is not a field"),
        (changed("hiden_size", 3), r"hiden_size is not a field .* did you mean 'hidden_size'\?"),
        (changed("vision_config/widht", 3), r"vision_config.widht .* did you mean 'width'\?"),
        (changed("vision_config/width", 1152), r"vision_config.width is a int[\s\S]*mapping"),
        (changed("vision_config/width/qwen2", {}), r"vision_config.width.qwen2 is not a field"),
        (changed("vision_config/width/sam_vit_b/head", 3), r"width.sam_vit_b.head .* did you mean 'heads'\?"),
        (changed("vision_config/width/clip-l-14-224/depth", 3), r"width.clip-l-14-224.depth is not a field"),
        (
            changed("vision_config/width/clip-l-14-224/width", 512),
            r"sam has features of width 1024, clip patches .*512",
        ),
        (changed("tile_tag", "1D"), r"tile_tag '1D'[\s\S]*'2D'"),
        (changed("model_type", "unlimited-ocr"), r"model_type 'unlimited-ocr'"),
        (changed("quantization", {"bits": 4}), "quantization is not a field"),
        (changed("language_config", 3), "language_config is a int"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(content: dict[str, Any], message: str) -> None:
    with refused(message):
        DeepseekOCRConfig.from_hf(content)
    with refused(message):
        vlkit.build(content, dtype=torch.bfloat16)


PLACES = [
    *RELEASED,
    *(f"language_config/{name}" for name in LANGUAGE_DEFAULTS),
    *(f"projector_config/{name}" for name in RELEASED["projector_config"]),
    *(f"vision_config/{name}" for name in RELEASED["vision_config"]),
    *(f"vision_config/width/{part}/{name}" for part in ("sam_vit_b",) for name in SAM_DEFAULTS),
]


@given(st.sampled_from(PLACES), json_values)
def test_any_value_anywhere_gives_a_config_or_a_clear_error(place: str, value: Any) -> None:
    try:
        config = DeepseekOCRConfig.from_hf(changed(place, value))
    except VlkitError as error:
        assert len(str(error)) > 20
    else:
        assert DeepseekOCRConfig.from_hf(config.to_hf()).to_hf() == config.to_hf()


def test_another_mode_is_saved_in_vlkits_own_form() -> None:
    content = {NATIVE: vlkit.presets["mini-ocr"].at("tiny").model_dump(mode="json")}
    assert vlkit.resolve_config(content) == vlkit.presets["mini-ocr"].at("tiny")
