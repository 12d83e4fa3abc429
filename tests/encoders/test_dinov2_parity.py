"""DINOv2 against timm and transformers, through the key maps of the published weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from timm.layers import SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from transformers import Dinov2Config as OfficialConfig
from transformers import Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

from tests.tolerances import VISION
from vlkit.encoders import Dinov2, Dinov2Config
from vlkit.models.vision_weights import VISION_KEYMAPS

SIZES = [(20, 20), (12, 20), (28, 8), (36, 36)]
"""Heights and widths, of which the first is the one that the positions are learned for."""


def drawn(module: nn.Module) -> Any:
    """The module, ready to run, with every parameter drawn at random."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.normal_(mean=1.0 if "norm" in name and name.endswith("weight") else 0.0, std=0.2)
    return module.eval()


def ours(**fields: Any) -> Dinov2:
    """Our encoder of the small size that all oracles here have."""
    return Dinov2(Dinov2Config(image_size=20, patch_size=4, width=16, layers=3, heads=2, **fields)).eval()


def pixels(size: tuple[int, int]) -> Tensor:
    """Two tiles of a height and a width."""
    return torch.randn(2, 3, *size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("swiglu", [False, True])
@pytest.mark.parametrize("registers", [0, 4])
def test_transformers_features_are_the_same(
    tmp_path: Path, registers: int, swiglu: bool, size: tuple[int, int]
) -> None:
    fields: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    fields |= {"image_size": 20, "patch_size": 4, "use_swiglu_ffn": swiglu}
    oracle = drawn(
        Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**fields, num_register_tokens=registers))
        if registers
        else Dinov2Model(OfficialConfig(**fields))
    )
    oracle.save_pretrained(tmp_path)
    encoder = ours(registers=registers, antialias=registers > 0, mlp="swiglu" if swiglu else "gelu")
    published = load_file(tmp_path / "model.safetensors")
    encoder.load_state_dict(VISION_KEYMAPS["dinov2-transformers"].from_theirs(published))
    images = pixels(size)
    with torch.no_grad():
        expected = oracle(images, output_hidden_states=True)
        torch.testing.assert_close(encoder.forward_features(images), expected.last_hidden_state, rtol=0, atol=VISION)
        for layer, block in enumerate(expected.hidden_states[1:]):
            selected = Dinov2(encoder.config.replace(select_layer=layer))
            selected.load_state_dict(encoder.state_dict())
            patches = block[:, 1 + registers :].unflatten(1, (size[0] // 4, size[1] // 4))
            torch.testing.assert_close(selected(images), patches, rtol=0, atol=VISION)


def from_timm(weights: dict[str, Tensor], *, registers: bool, swiglu: bool) -> dict[str, Tensor]:
    """Meta's names of timm's weights; with registers, timm has no position for the class token."""
    names = {"reg_token": "register_tokens"}
    found = {names.get(name, name): tensor for name, tensor in weights.items()} | {"mask_token": torch.zeros(1, 16)}
    if swiglu:
        found = {name.replace("fc1", "w12").replace("fc2", "w3"): tensor for name, tensor in found.items()}
    if registers:
        found["pos_embed"] = torch.cat([torch.zeros(1, 1, 16), found["pos_embed"]], dim=1)
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("swiglu", [False, True])
@pytest.mark.parametrize("registers", [0, 4])
def test_timm_s_features_are_the_same(registers: int, swiglu: bool, size: tuple[int, int]) -> None:
    fields: dict[str, Any] = {"img_size": 20, "patch_size": 4, "embed_dim": 16, "depth": 3, "num_heads": 2}
    fields |= {"num_classes": 0, "init_values": 1e-5, "dynamic_img_size": True}
    fields |= {"reg_tokens": registers, "no_embed_class": registers > 0}
    if swiglu:
        fields |= {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU, "mlp_ratio": 2 * 48 / 16}
    oracle = drawn(VisionTransformer(**fields))
    encoder = ours(registers=registers, antialias=True, mlp="swiglu" if swiglu else "gelu")
    meta = from_timm(oracle.state_dict(), registers=registers > 0, swiglu=swiglu)
    encoder.load_state_dict(VISION_KEYMAPS["dinov2-meta"].from_theirs(meta))
    images = pixels(size)
    with torch.no_grad():
        expected = oracle.forward_features(images)
        torch.testing.assert_close(encoder.forward_features(images), expected, rtol=0, atol=VISION)
        patches = expected[:, 1 + registers :].unflatten(1, (size[0] // 4, size[1] // 4))
        torch.testing.assert_close(encoder(images), patches, rtol=0, atol=VISION)


@pytest.mark.parametrize("registers", [0, 4])
def test_published_names_go_there_and_back(registers: int) -> None:
    weights = ours(registers=registers).state_dict()
    for name in ("dinov2-meta", "dinov2-transformers"):
        keymap = VISION_KEYMAPS[name]
        again = keymap.from_theirs(keymap.to_theirs(weights))
        assert again.keys() == weights.keys()
        assert all(torch.equal(again[key], weights[key]) for key in weights)
