"""Encoders with weights under their published names against the libraries that publish them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.strategies import normal
from vlkit.checkpoint import WeightFiles, load_into
from vlkit.encoders import Clip, ClipConfig, Encoder, EncoderConfig, Sam, SamConfig, SigLIP, SigLIPConfig, encoders
from vlkit.errors import CheckpointError
from vlkit.models.vision_weights import VISION_KEYMAPS

transformers = pytest.importorskip("transformers")

LIBRARY = 2e-5
"""float32 against another implementation, times the largest value; the order of sums alone moves results by 1e-6."""
TEXT = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "vocab_size": 9,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 28,
    "patch_size": 7,
}
SAME = {"image_size": 28, "patch_size": 7, "width": 32, "layers": 3, "heads": 4, "mlp_ratio": 2.0}


def drawn(module: nn.Module) -> Any:
    """Every parameter drawn at random, so that none is without effect."""
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter.copy_(0.3 * normal(number, parameter.numel()).view_as(parameter))
    return module.eval()


def loaded(config: EncoderConfig, published: nn.Module, keymap: str, folder: Path) -> Encoder:
    """Encoder whose weights are read from a file with the published names."""
    tensors = {name: tensor.clone() for name, tensor in published.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    with torch.device("meta"):
        encoder = encoders.build(config)
    load_into(encoder, WeightFiles.open(folder), VISION_KEYMAPS[keymap])
    return encoder.eval()


def assert_same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=LIBRARY * float(expected.abs().max()))


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("layer", [-1, -2])
@torch.no_grad()
def test_clip_is_that_of_transformers(activation: str, layer: int, tmp_path: Path) -> None:
    official = drawn(
        transformers.CLIPModel(
            transformers.CLIPConfig(vision_config=VISION | {"hidden_act": activation}, text_config=TEXT)
        )
    )
    config = ClipConfig.model_validate(SAME | {"activation": activation, "select_layer": layer})
    encoder, pixels = loaded(config, official, "clip-transformers", tmp_path), normal(0, 2, 3, 28, 28).float()
    assert isinstance(encoder, Clip)
    expected = official.vision_model(pixels, output_hidden_states=True).hidden_states[layer]
    assert_same(encoder.forward_features(pixels), expected)
    assert_same(encoder(pixels).flatten(1, 2), expected[:, 1:])


@pytest.mark.parametrize(("published", "activation"), [("gelu", "gelu"), ("gelu_pytorch_tanh", "gelu_tanh")])
@torch.no_grad()
def test_siglip_is_that_of_transformers(published: str, activation: str, tmp_path: Path) -> None:
    official = drawn(
        transformers.SiglipModel(
            transformers.SiglipConfig(vision_config=VISION | {"hidden_act": published}, text_config=TEXT)
        )
    )
    config = SigLIPConfig.model_validate(SAME | {"activation": activation, "pool": "none"})
    encoder, pixels = loaded(config, official, "siglip-transformers", tmp_path), normal(0, 2, 3, 28, 28).float()
    assert_same(encoder(pixels).flatten(1, 2), official.vision_model(pixels).last_hidden_state)


@torch.no_grad()
def test_siglip_is_that_of_timm(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    official = drawn(
        timm.create_model(
            "vit_base_patch16_siglip_224", num_classes=0, img_size=28, patch_size=7, embed_dim=32, depth=3, num_heads=4
        )
    )
    config = SigLIPConfig.model_validate(SAME | {"activation": "gelu", "mlp_ratio": 4.0})
    encoder, pixels = loaded(config, official, "siglip-timm", tmp_path), normal(0, 2, 3, 28, 28).float()
    assert isinstance(encoder, SigLIP)
    assert_same(encoder.forward_features(pixels), official.forward_features(pixels))
    assert_same(encoder.forward_pooled(pixels), official(pixels))


SAM = SamConfig(
    image_size=64,
    patch_size=8,
    width=32,
    layers=4,
    heads=4,
    window_size=3,
    global_layers=(1, 3),
    neck_width=16,
    downsample_channels=(),
)


@pytest.fixture
def official_sam() -> Any:
    vision = {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": 64,
        "patch_size": 8,
        "output_channels": 16,
        "global_attn_indexes": [1, 3],
        "window_size": 3,
        "num_pos_feats": 8,
    }
    config = transformers.SamConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 8},
        mask_decoder_config={"hidden_size": 16, "iou_head_hidden_dim": 16},
    )
    return drawn(transformers.SamModel(config))


@torch.no_grad()
def test_sam_is_that_of_transformers(official_sam: Any, tmp_path: Path) -> None:
    encoder, pixels = loaded(SAM, official_sam, "sam-transformers", tmp_path), normal(0, 2, 3, 64, 64).float()
    expected = official_sam.vision_encoder(pixels).last_hidden_state
    assert_same(encoder(pixels), expected.permute(0, 2, 3, 1))


def test_names_of_the_original_sam_are_ours_with_a_prefix() -> None:
    ours = Sam(SAM).state_dict()
    theirs = VISION_KEYMAPS["sam-original"].to_theirs(ours)
    assert set(theirs) == {f"image_encoder.{name}" for name in ours}
    beside = {"prompt_encoder.no_mask_embed.weight": torch.zeros(1), "mask_decoder.iou_token.weight": torch.zeros(1)}
    assert VISION_KEYMAPS["sam-original"].from_theirs(theirs | beside).keys() == ours.keys()


@pytest.mark.parametrize("name", ["sam-transformers", "sam-original", "clip-transformers", "siglip-transformers"])
def test_names_go_there_and_back(name: str) -> None:
    configs = {"sam": SAM, "clip": ClipConfig(**SAME), "siglip": SigLIPConfig(**SAME, pool="none")}
    ours, keymap = drawn(encoders.build(configs[name.split("-")[0]])).state_dict(), VISION_KEYMAPS[name]
    back = keymap.from_theirs(keymap.to_theirs(ours))
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[key], ours[key]) for key in ours)


def test_a_tensor_that_belongs_nowhere_is_refused() -> None:
    keymap = VISION_KEYMAPS["clip-transformers"]
    theirs = keymap.to_theirs(Clip(ClipConfig(**SAME)).state_dict()) | {
        "vision_modle.pre_layrnorm.bias": torch.zeros(32)
    }
    with pytest.raises(CheckpointError, match="vision_modle"):
        keymap.from_theirs(theirs)
