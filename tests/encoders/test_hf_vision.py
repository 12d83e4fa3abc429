"""Vision models of transformers as encoders: against transformers itself, on meta, and from folders."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.encoders.laws import tiles_of
from vlkit.encoders import HFVision, HFVisionConfig
from vlkit.errors import CheckpointError, ConfigError, ShapeError
from vlkit.foreign.extras import load_extra
from vlkit.notation import Grid, Size
from vlkit.testing import check_encoder

transformers = load_extra("transformers")

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}
TOWERS: dict[str, tuple[dict[str, Any], int]] = {
    "clip_vision_model": (SMALL, 1),
    "siglip_vision_model": (SMALL, 0),
    "vit": (SMALL, 1),
    "deit": (SMALL, 2),
    "beit": (SMALL, 1),
    "dinov2": (SMALL, 1),
    "dinov2_with_registers": (SMALL | {"num_register_tokens": 3}, 4),
    "dinov3_vit": (SMALL | {"num_register_tokens": 3}, 4),
}
"""Model types with fields of small ones, and their tokens in front of the patches."""
NAFLEX = {**SMALL, "model_type": "siglip2_vision_model", "num_patches": 16}
del NAFLEX["image_size"]
CONVOLUTIONS = {"model_type": "convnext", "image_size": 64, "hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1]}


def encoder(model_type: str, **fields: Any) -> HFVision:
    """New encoder in evaluation mode whose parameters all matter."""
    config = HFVisionConfig(config={"model_type": model_type, **TOWERS[model_type][0]}, **fields)
    ours = HFVision(config).eval()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return ours


def tiles(of: HFVision, size: Size | None = None) -> Tensor:
    return tiles_of(size or of.config.tile_size, tiles=2).float()


@pytest.mark.parametrize("model_type", TOWERS)
def test_features_are_the_patches_of_the_last_hidden_state(model_type: str) -> None:
    ours, prefix = encoder(model_type), TOWERS[model_type][1]
    pixels = tiles(ours)
    expected = ours.tower(pixel_values=pixels).last_hidden_state[:, prefix:].unflatten(1, (4, 4))
    assert torch.equal(ours(pixels), expected)
    assert (ours.grid_out(Size(32, 32)), ours.feature_dim, ours.config.cell_size) == (Grid(4, 4), 32, Size(8, 8))


@pytest.mark.parametrize("model_type", TOWERS)
@pytest.mark.parametrize("layer", [0, 2, -2])
def test_a_selected_layer_is_that_hidden_state(model_type: str, layer: int) -> None:
    ours = encoder(model_type, select_layer=layer)
    pixels = tiles(ours)
    states = ours.tower(pixel_values=pixels, output_hidden_states=True).hidden_states
    assert torch.equal(ours(pixels).flatten(1, 2), states[layer][:, TOWERS[model_type][1] :])


@pytest.mark.parametrize("model_type", TOWERS)
def test_tiles_of_another_size_and_shape(model_type: str) -> None:
    ours = encoder(model_type, image_size=(48, 33))
    pixels = tiles(ours)
    assert pixels.shape[2:] == (33, 48)
    more = {} if model_type.startswith("dino") else {"interpolate_pos_encoding": True}
    expected = ours.tower(pixel_values=pixels, **more).last_hidden_state[:, TOWERS[model_type][1] :]
    assert torch.equal(ours(pixels), expected.unflatten(1, (4, 6)))
    assert ours(tiles(ours, Size(16, 40))).shape == (2, 5, 2, 32)


def test_patches_of_siglip_2_are_those_of_its_own_processor() -> None:
    config = HFVisionConfig(config=NAFLEX, image_size=(40, 24))
    assert (config.grid_out(config.tile_size), config.replace(image_size=None).tile_size) == (Grid(3, 5), Size(32, 32))
    ours = HFVision(config).eval()
    processing = import_module("transformers.models.siglip2.image_processing_pil_siglip2")
    pixels = tiles(ours)
    cut = [processing.convert_image_to_patches(tile.numpy(), 8) for tile in pixels]
    out = ours.tower(
        pixel_values=torch.from_numpy(np.stack(cut)),
        pixel_attention_mask=torch.ones(2, 15),
        spatial_shapes=torch.tensor([[3, 5]] * 2),
    )
    torch.testing.assert_close(ours(pixels), out.last_hidden_state.unflatten(1, (3, 5)), rtol=0, atol=1e-6)


def test_convolutional_models_give_a_grid_at_every_stage() -> None:
    for layer, width, grid in ((None, 20, Grid(2, 3)), (1, 8, Grid(16, 24)), (-2, 16, Grid(4, 6))):
        ours = HFVision(HFVisionConfig(config=CONVOLUTIONS, image_size=(96, 64), select_layer=layer)).eval()
        pixels = tiles(ours)
        out = ours.tower(pixel_values=pixels, output_hidden_states=True)
        expected = out.last_hidden_state if layer is None else out.hidden_states[layer]
        assert torch.equal(ours(pixels), expected.movedim(1, -1))
        assert (ours.feature_dim, ours.grid_out(ours.config.tile_size)) == (width, grid)


@pytest.mark.parametrize(("fields", "message"), [
    ({"config": {"model_type": "llama"}}, "model_type 'llama' is no vision model"),
    ({"config": {"model_type": "timm_wrapper"}}, "use|encoder 'timm'"),
    ({"config": {"model_type": "swin"}}, r"SwinModel makes \[49, 768\] of a tile[\s\S]*encoder 'timm'"),
    ({"config": {"model_type": "sam2_vision_model"}, "image_size": 64}, r"Sam2VisionModel makes \[2, 2, 768\]"),
    ({"config": {"model_type": "vit", **SMALL}, "select_layer": 9}, "IndexError"),
    ({"config": {"model_type": "vit", **SMALL}, "image_size": 7}, "on tiles of 7x7|makes"),
    ({"config": {"model_type": "vit", **SMALL, "num_channels": 1}}, "channel"),
    ({"config": {"model_type": "vit", **SMALL, "auto_map": {"AutoModel": "evil.Model"}}}, "auto_map"),
    ({"std": (0.5, 0.0, 0.5)}, "above 0"),
])  # fmt: skip
def test_what_is_no_encoder_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HFVisionConfig(**fields)


def test_sizes_that_a_model_does_not_take_are_refused() -> None:
    fixed = HFVision(HFVisionConfig(config=SMALL | {"model_type": "aimv2_vision_model"})).eval()
    with pytest.raises(ConfigError, match=r"tiles of 48x32 pixels: [\s\S]*tiles of this encoder are 32x32"):
        fixed.config.check_size(Size(48, 32))
    with pytest.raises(ShapeError, match=r"takes float\[N, 3, 32, 32\]"):
        fixed(tiles(fixed, Size(48, 32)))


def test_the_default_is_siglip_base_as_released() -> None:
    config = HFVisionConfig()
    assert (config.feature_dim, config.tile_size) == (768, Size(224, 224))
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in HFVision(config).parameters()) == 92_884_224


@pytest.mark.parametrize("model_type", ["clip_vision_model", "dinov3_vit", "beit"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_built_on_meta_and_loaded_is_what_is_built_at_once(model_type: str, dtype: torch.dtype) -> None:
    real = encoder(model_type).to(dtype)
    with torch.device("meta"):
        ours = HFVision(real.config).eval()
    assert all(parameter.is_meta for parameter in ours.parameters())
    ours.load_state_dict(real.state_dict(), assign=True)
    pixels = tiles(ours).to(dtype)
    assert torch.equal(ours(pixels), real(pixels))


def test_declared_operations_are_the_counted_ones_and_idle_modules_are_named() -> None:
    ours = encoder("siglip_vision_model")
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        ours(tiles(ours)[:1])
    assert counter.get_total_flops() == ours.config.forward_flops(Size(32, 32))
    assert ours.idle_modules() == (ours.tower.head,) if hasattr(ours.tower, "head") else ours.idle_modules()
    selected = encoder("clip_vision_model", select_layer=-2)
    names = [
        name for name, module in selected.tower.named_modules() if any(module is m for m in selected.idle_modules())
    ]
    assert len(names) == 2 and names[0].endswith("layers.2") and names[1].endswith("post_layernorm")


def save(folder: Path, model: Any, **preprocessing: Any) -> Any:
    """The model in evaluation mode, saved as transformers saves it."""
    model.eval().save_pretrained(folder)
    if preprocessing:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return model


@pytest.mark.parametrize("whole", [True, False])
def test_a_folder_of_a_whole_model_or_of_its_tower_is_loaded(whole: bool, tmp_path: Path, offline: None) -> None:
    if whole:
        text = {key: value for key, value in SMALL.items() if "size" not in key or "hidden" in key or "inter" in key}
        config = transformers.CLIPConfig(vision_config=SMALL, text_config=text | {"vocab_size": 20})
        model = save(tmp_path, transformers.CLIPModel(config), image_mean=[0.1, 0.2, 0.3], image_std=[1, 2, 3])
        tower = model.vision_model
    else:
        tower = save(tmp_path, transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**SMALL)))
    ours = HFVision.from_pretrained(tmp_path, select_layer=-2)
    assert not ours.training and ours.config.config["model_type"] == "clip_vision_model"
    assert ours.config.pixel_mean == ((0.1, 0.2, 0.3) if whole else (0.5, 0.5, 0.5))
    assert ours.config.pixel_std == ((1, 2, 3) if whole else (0.5, 0.5, 0.5))
    pixels = tiles(ours)
    expected = tower(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
    assert torch.equal(ours(pixels).flatten(1, 2), expected[:, 1:])
    assert HFVisionConfig.model_validate_json(ours.config.model_dump_json()) == ours.config
    half = HFVision.from_pretrained(tmp_path, dtype=torch.bfloat16, mean=(0, 0, 0))
    assert next(half.parameters()).dtype == torch.bfloat16 and half.config.pixel_mean == (0, 0, 0)


@pytest.mark.parametrize(("preprocessing", "mean", "std"), [
    ({"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "rescale_factor": 1 / 255}, 0.5, 0.5),
    ({"image_mean": [1.0] * 3, "image_std": [1.0] * 3, "rescale_factor": 1 / 127.5}, 0.5, 0.5),
    ({"image_mean": [127.5] * 3, "image_std": [51.0] * 3, "do_rescale": False}, 0.5, 0.2),
    ({"image_mean": [0.4] * 3, "image_std": [0.2] * 3, "do_normalize": False}, 0.0, 1.0),
    ({"do_resize": True}, 0.5, 0.5),
])  # fmt: skip
def test_normalisation_is_meant_for_pixels_of_zero_to_one(
    preprocessing: dict[str, Any], mean: float, std: float, tmp_path: Path, offline: None
) -> None:
    save(tmp_path, transformers.ViTModel(transformers.ViTConfig(**SMALL)), **preprocessing)
    config = HFVision.from_pretrained(tmp_path).config
    assert config.pixel_mean == pytest.approx((mean,) * 3) and config.pixel_std == pytest.approx((std,) * 3)


def test_checkpoints_without_safetensors_or_with_too_few_weights_are_refused(tmp_path: Path, offline: None) -> None:
    model = transformers.ViTModel(transformers.ViTConfig(**SMALL))
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        HFVision.from_pretrained(tmp_path)
    save(tmp_path, model)
    deeper = json.loads((tmp_path / "config.json").read_text()) | {"num_hidden_layers": 4}
    (tmp_path / "config.json").write_text(json.dumps(deeper))
    with pytest.raises(CheckpointError, match=r"lacks 1\d weights, '.*layers?\.3\."):
        HFVision.from_pretrained(tmp_path)


def test_every_law_of_encoders_holds_of_patches_of_any_number() -> None:
    check_encoder(HFVisionConfig(config=NAFLEX, image_size=(40, 24)), skip=["compile", "export"])
