"""The official config.json both ways: released files, omissions, contradictions, and what it cannot express."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import vlkit
from tests.models.deepseek_vl.released import LARGE, SMALL
from tests.refusal import refused
from vlkit.builder import VLMBuilder
from vlkit.cropping import Cropping
from vlkit.decoders import DeepseekV2Config, DynamicScaling, LinearScaling
from vlkit.encoders import HybridConfig, SigLIPConfig
from vlkit.errors import VlkitError
from vlkit.models.deepseek_vl.hf_fields import (
    ALIGNER_DEFAULTS,
    HYBRID_DEFAULTS,
    LANGUAGE_DEFAULTS,
    TOP_DEFAULTS,
    TOWER_DEFAULTS,
)

RELEASED = {"deepseek-vl-1.3b": SMALL, "deepseek-vl-7b": LARGE}
ONE, TWO = (vlkit.presets[name] for name in RELEASED)
VISION, HIGH, LOW = "vision_config.params", "vision_config.params.high_res_cfg", "vision_config.params.low_res_cfg"
ALIGNER = "aligner_config.params"


def changed(path: str, value: Any, content: dict[str, Any]) -> dict[str, Any]:
    """A file with another value at a dotted path; the ellipsis takes it away."""
    content = copy.deepcopy(content)
    *sections, name = path.split(".")
    place = content
    for section in sections:
        place = place[section]
    place[name] = value
    if value is ...:
        del place[name]
    return content


@pytest.mark.parametrize("preset", RELEASED)
def test_the_released_files_are_the_presets(preset: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(RELEASED[preset]))
    for source in (tmp_path, str(tmp_path / "config.json"), RELEASED[preset]):
        config = vlkit.DeepseekVLConfig.from_hf(source)
        assert config == vlkit.presets[preset] == vlkit.resolve_config(source)
    assert isinstance(config.decoder, DeepseekV2Config)
    assert (config.decoder.bos_token_id, config.decoder.eos_token_id) == (100000, 100001)


def test_omissions_are_the_official_defaults() -> None:
    content = changed("language_config", {}, changed(f"{ALIGNER}.n_embed", 4096, SMALL))
    content = changed(VISION, {"model_name": "siglip_large_patch16_384"}, changed(f"{ALIGNER}.depth", ..., content))
    config = vlkit.DeepseekVLConfig.from_hf(content)
    assert config.decoder == DeepseekV2Config.dense(bos_token_id=1, eos_token_id=2), "LLaMA 7B"
    assert config.projector.model_dump()["depth"] == 1
    assert isinstance(config.encoder, SigLIPConfig)
    assert (config.encoder.layers, config.tile_size) == (23, (336, 336)), "the last block but one, CLIP's size"


@pytest.mark.parametrize(("select", "layers"), [(-1, 24), (-2, 23), (-24, 1), (0, 24), (3, 3), (99, 24)])
def test_selected_layers_are_the_blocks_that_are_there(select: int, layers: int) -> None:
    config = vlkit.DeepseekVLConfig.from_hf(changed(f"{VISION}.select_layer", select, SMALL))
    assert config == ONE.replace(encoder=ONE.encoder.replace(layers=layers))
    assert vlkit.DeepseekVLConfig.from_hf(config.to_hf()) == config


DECODERS: dict[str, dict[str, Any]] = {
    "tied": {"tie_word_embeddings": True, "pad_token_id": 100015},
    "no special tokens": {"bos_token_id": None, "eos_token_id": None},
    "several ends": {"eos_token_id": (1, 2)},
    "linear scaling": {"rope_scaling": LinearScaling(factor=4.0), "rms_norm_eps": 1e-5},
    "dynamic scaling": {"rope_scaling": DynamicScaling(factor=2.0), "rope_theta": 5000.0},
    "grouped": {"attention": {"type": "mha", "num_attention_heads": 16, "num_key_value_heads": 2}},
    "biases": {"attention": {"type": "mha", "num_attention_heads": 16, "attention_bias": True}},
}
VARIANTS = {
    "one tower": ONE,
    "two towers": TWO,
    "side by side": TWO.replace(projector={"type": "mlp_gelu", "depth": 3}),
    "linear": ONE.replace(projector="linear"),
    "identity": ONE.replace(projector="identity", decoder=ONE.decoder.replace(hidden_size=1024)),
    "deep": TWO.replace(projector={"type": "low_high_hybrid_split_mlp_gelu", "depth": 1}),
    "another tower": ONE.replace(
        encoder={
            "type": "siglip",
            "image_size": 378,
            "activation": "gelu",
            "patch_size": 14,
            "width": 1152,
            "layers": 26,
            "heads": 16,
            "mlp_ratio": 3.7362,
        },
        candidate_resolutions=((378, 378),),
    ),
    "raw pixels": TWO.replace(
        encoder=TWO.encoder.replace(high=TWO.encoder.high.replace(image_mean=(0, 0, 0), image_std=(1, 1, 1)))
    ),
    **{name: ONE.replace(decoder=ONE.decoder.replace(**fields)) for name, fields in DECODERS.items()},
}


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_a_config_survives_the_official_form(config: vlkit.DeepseekVLConfig) -> None:
    content = json.loads(json.dumps(config.to_hf()))
    assert vlkit.resolve_config(content) == config
    assert content["architectures"] == ["MultiModalityCausalLM"]
    assert set(content["language_config"]) >= set(LANGUAGE_DEFAULTS)
    assert set(content["aligner_config"]["params"]) == set(ALIGNER_DEFAULTS)


def test_the_released_settings_are_written_as_they_were_read() -> None:
    for content in RELEASED.values():
        written = vlkit.DeepseekVLConfig.from_hf(content).to_hf()
        given, params = copy.deepcopy(content["vision_config"]), written["vision_config"]["params"]
        for section in (given["params"], *(given["params"].get(f"{side}_res_cfg", {}) for side in ("high", "low"))):
            section.pop("ckpt_path", None)
        assert (given["cls"], given["params"]) == (written["vision_config"]["cls"], params)
        assert written["aligner_config"] == content["aligner_config"]
        assert {name: written[name] for name in ("model_type", "torch_dtype")} == {
            name: content[name] for name in ("model_type", "torch_dtype")
        }


def test_how_memory_is_saved_is_not_written() -> None:
    config = ONE.replace(encoder=ONE.encoder.replace(gradient_checkpointing=True))
    assert vlkit.DeepseekVLConfig.from_hf(config.to_hf()) == ONE


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda b: b.encoder("siglip", patch_size=32), r"encoder 'siglip' of 24 layers and width 1024"),
        (lambda b: b.encoder("siglip", pool="none"), r"encoder 'siglip' of 24 layers"),
        (lambda b: b.encoder("siglip", layers=28), r"encoder 'siglip' of 28 layers"),
        (lambda b: b.encoder("siglip", image_size=(384, 384)), r"encoder\.image_size \(384, 384\)"),
        (lambda b: b.projector("mlp_gelu", use_bias=False), r"projector\.use_bias False"),
        (lambda b: b.projector("mlp_gelu", token_pooling=True), r"projector\.token_pooling True"),
        (lambda b: b.projector("downsample_mlp_gelu"), r"projector 'downsample_mlp_gelu'"),
        (lambda b: b.projector(nn.Identity()), r"projector 'supplied'"),
        (lambda b: b.projector("low_high_hybrid_split_mlp_gelu"), r"projector 'low_high_.* without two towers"),
        (lambda b: b.layout("2D"), r"layout '2D'"),
        (lambda b: b.layout("plain", single_tile=True), r"layout 'plain'"),
        (lambda b: b.candidate_resolutions((384, 384), (768, 384)), r"candidate_resolutions"),
        (lambda b: b.decoder("deepseek_v2", moe={"n_routed_experts": 4, "num_experts_per_tok": 2}), r"decoder\.moe"),
        (lambda b: b.decoder("deepseek_v2", attention={"type": "mla"}), r"decoder\.attention 'mla'"),
        (
            lambda b: b.decoder("deepseek_v2", attention={"type": "mha", "num_attention_heads": 16, "head_dim": 8}),
            r"decoder\.attention\.head_dim 8",
        ),
    ],
)
def test_what_the_official_form_cannot_express_is_named(change: Any, path: str) -> None:
    config = change(VLMBuilder(ONE)).config
    with refused(rf"{path}[\s\S]*cannot be written to an official config\.json[\s\S]*vlkit's own"):
        config.to_hf()


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"cropping": Cropping()}, "cropping"),
        ({"global_view_size": (384, 384)}, "global_view_size"),
        (
            {
                "encoder": HybridConfig(low=SigLIPConfig(image_size=336, activation="gelu")),
                "projector": "low_high_hybrid_split_mlp_gelu",
                "candidate_resolutions": ((1024, 1024),),
            },
            "projector .* without two towers of one width",
        ),
        ({"encoder": {**ONE.encoder.model_dump(), "activation": "gelu_tanh"}}, "encoder 'siglip'"),
    ],
)
def test_what_was_done_to_the_model_as_a_whole_is_named(fields: dict[str, Any], path: str) -> None:
    with refused(rf"{path}[\s\S]*cannot be written to an official"):
        ONE.replace(**fields).to_hf()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed(f"{ALIGNER}.input_dim", 1152, SMALL), r"input_dim 1152 for features of width 1024"),
        (
            changed(f"{ALIGNER}.input_dim", 2048, LARGE),
            r"input_dim 2048 for features of width 1024[\s\S]*either of two",
        ),
        (changed(f"{ALIGNER}.n_embed", 4096, SMALL), r"n_embed 4096 and language_config.hidden_size 2048[\s\S]*same"),
        (changed(f"{ALIGNER}.n_embed", ..., SMALL), r"aligner_config.params.n_embed is missing"),
        (changed(f"{ALIGNER}.projector_type", "mlp", SMALL), r"projector_type 'mlp'[\s\S]*'mlp_gelu'"),
        (
            changed(f"{ALIGNER}.projector_type", "low_high_hybrid_split_mlp_gelu", SMALL),
            r"with one tower[\s\S]*features of two[\s\S]*'mlp_gelu'",
        ),
        (changed(f"{ALIGNER}.projector_type", "mlp_gelu", LARGE), r"concat_type 'tuple'[\s\S]*'feature' with this"),
        (changed("aligner_config.cls", "Resampler", SMALL), r"aligner_config.cls 'Resampler'[\s\S]*'MlpProjector'"),
        (changed("aligner_config.cls", 3, SMALL), r"aligner_config.cls is a int"),
        (
            changed("vision_config.cls", "VisionTower", SMALL),
            r"vision_config.cls 'VisionTower'[\s\S]*HybridVisionTower",
        ),
        (changed("vision_config", 3, SMALL), r"vision_config is a int"),
        (changed("vision_confg", {}, SMALL), r"vision_confg is not a field .* did you mean 'vision_config'\?"),
        (changed(f"{VISION}.image_sice", 3, SMALL), r"params.image_sice is not .* did you mean 'image_size'\?"),
        (changed(f"{VISION}.model_name", "siglip_large", SMALL), r"model_name 'siglip_large'; did you mean"),
        (changed(f"{VISION}.model_name", "sam_b_downsample", SMALL), r"model_name 'sam_b_downsample'"),
        (changed(f"{VISION}.model_name", ["siglip"], SMALL), r"model_name \['siglip'\]"),
        (changed(f"{VISION}.select_layer", "last", SMALL), r"select_layer 'last'[\s\S]*whole number"),
        (changed(f"{VISION}.select_layer", -25, SMALL), r"encoder\.layers"),
        (changed(f"{VISION}.image_size", 8, SMALL), r"at least one patch"),
        (changed(f"{VISION}.image_size", "large", SMALL), r"image_size"),
        (changed(f"{VISION}.pixel_mean", [0.5, 0.5, 0.5], SMALL), r"pixel_mean \[0.5, 0.5, 0.5\][\s\S]*processor"),
        (changed(f"{VISION}.ignore_head", False, SMALL), r"ignore_head false[\s\S]*features"),
        (changed(HIGH, ..., LARGE), r"high_res_cfg is missing"),
        (changed(HIGH, [], LARGE), r"high_res_cfg is a list"),
        (changed(f"{HIGH}.output_dim", 256, LARGE), r"high_res_cfg.output_dim 256 of a tower of width 1024"),
        (changed(f"{LOW}.output_dim", 768, LARGE), r"low_res_cfg.output_dim 768 of a tower of width 1024"),
        (changed(f"{LOW}.pixel_std", [1, 1, 1], LARGE), r"low_res_cfg.pixel_std \[1, 1, 1\][\s\S]*SigLIP"),
        (changed(f"{LOW}.image_size", 336, LARGE), r"high gives a grid of 24x24, low one of 21x21"),
        (changed(f"{LOW}.model_name", "siglip_so400m_patch14_384", LARGE), r"output_dim 1024 of a tower of width 1152"),
        (changed(f"{VISION}.concat_type", "sequence", LARGE), r"concat_type 'sequence'[\s\S]*'tuple'"),
        (
            changed("language_config.hiden_size", 3, SMALL),
            r"language_config.hiden_size .* did you mean 'hidden_size'\?",
        ),
        (changed("language_config.hidden_act", "gelu", SMALL), r"hidden_act 'gelu'[\s\S]*only 'silu'"),
        (changed("language_config.rope_scaling", {"type": "yarn"}, SMALL), r"rope_scaling"),
        (changed("language_config.num_key_value_heads", 3, SMALL), r"16 query heads with 3 key/value heads"),
        (changed("model_type", "multi_modal", SMALL), r"model_type 'multi_modal'"),
        (changed("model_type", "deepseek_vl_hybrid", LARGE), r"converted for transformers[\s\S]*deepseek-ai itself"),
        (changed("gen_vision_config", {}, SMALL), r"gen_vision_config in a config of DeepSeek-VL[\s\S]*Janus"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(content: dict[str, Any], message: str) -> None:
    with refused(message):
        vlkit.DeepseekVLConfig.from_hf(content)


def test_relatives_are_not_taken_for_another_family() -> None:
    with refused("converted for transformers"):
        vlkit.build({"model_type": "deepseek_vl", "text_config": {}, "vision_config": {}})
    with refused("this is Janus"):
        vlkit.build(changed("gen_head_config", {}, SMALL))


def test_classes_may_be_named_with_their_modules() -> None:
    content = changed("vision_config.cls", "deepseek_vl.models.clip_encoder.CLIPVisionTower", SMALL)
    assert vlkit.DeepseekVLConfig.from_hf(content) == ONE


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**6) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
PATHS = [
    *TOP_DEFAULTS,
    *(f"language_config.{name}" for name in LANGUAGE_DEFAULTS),
    *(f"{ALIGNER}.{name}" for name in ALIGNER_DEFAULTS),
    *(f"{section}.{name}" for section in (HIGH, LOW) for name in TOWER_DEFAULTS),
    *(f"{VISION}.{name}" for name in HYBRID_DEFAULTS),
    *(f"{section}.{name}" for section in ("vision_config", "aligner_config") for name in ("cls", "params")),
]


@given(st.sampled_from(PATHS), json_values)
def test_any_value_anywhere_gives_a_config_or_a_clear_error(path: str, value: Any) -> None:
    try:
        config = vlkit.DeepseekVLConfig.from_hf(changed(path, value, LARGE))
    except VlkitError as error:
        assert len(str(error)) > 20
    else:
        assert vlkit.DeepseekVLConfig.from_hf(config.to_hf()) == config
