"""Models of timm as encoders: against timm itself, in all shapes that it gives, on meta and from files."""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from einops import rearrange
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.encoders.laws import tiles_of
from vlkit.encoders import Timm, TimmConfig, encoders
from vlkit.errors import CheckpointError, ConfigError, ShapeError
from vlkit.foreign.extras import load_extra
from vlkit.notation import Grid, Size
from vlkit.testing import check_encoder

timm = load_extra("timm")

PREFIXED = {"test_vit": 1, "test_vit2": 1, "test_vit3": 1, "test_vit_relpos": 0}
"""Small models whose final features are a sequence, and their tokens in front of the patches."""
GRIDS = ("test_resnet", "test_convnext", "test_efficientnet", "test_mambaout", "test_maxvit")
"""Small models that give a grid, width first or last."""


def encoder(model: str, **fields: Any) -> Timm:
    """New encoder in evaluation mode."""
    return Timm(TimmConfig(model=model, **fields)).eval()


def tiles(of: Timm, size: Size | None = None) -> Tensor:
    return tiles_of(size or of.config.tile_size, tiles=2).float()


@pytest.mark.parametrize(("model", "size"), [
    *((model, size) for model in PREFIXED for size in (64, (80, 48))),
    ("test_vit3", (70, 53)), ("test_vit_relpos", (70, 53)),
])  # fmt: skip
def test_final_features_are_the_patches_of_forward_features(model: str, size: Any) -> None:
    ours = encoder(model, image_size=size)
    pixels, width = tiles(ours), ours.config.tile_size.width
    tokens = ours.model.forward_features(pixels)[:, PREFIXED[model] :]
    assert torch.equal(ours(pixels), rearrange(tokens, "n (y x) w -> n y x w", x=width // 16))
    assert ours.grid_out(ours.config.tile_size) == Grid(pixels.shape[2] // 16, width // 16)


def test_register_tokens_are_dropped() -> None:
    ours = encoder("vit_pe_spatial_tiny_patch16_512", image_size=32)
    pixels = tiles(ours)
    out = ours.model.forward_features(pixels)
    assert (out.shape[1], ours.model.num_prefix_tokens) == (5, 1)
    assert torch.equal(ours(pixels).flatten(1, 2), out[:, 1:])


@pytest.mark.parametrize("model", GRIDS)
def test_grids_are_rows_columns_width_whichever_order_timm_has(model: str) -> None:
    ours = encoder(model)
    pixels = tiles(ours)
    features, out = ours(pixels), ours.model.forward_features(pixels)
    assert features.shape == (2, *ours.grid_out(ours.config.tile_size), ours.feature_dim)
    last = ours.model.num_features
    assert torch.equal(features, out if out.shape[-1] == last else rearrange(out, "n w y x -> n y x w"))


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("layers", [0, -2, (0, -1), (1, 2)])
def test_selected_layers_are_those_of_forward_intermediates(layers: Any, norm: bool) -> None:
    ours = encoder("test_vit3", image_size=(64, 48), select_layer=layers, norm=norm)
    pixels = tiles(ours)
    every = ours.model.forward_intermediates(pixels, norm=norm, intermediates_only=True)
    chosen = [every[layer] for layer in (layers if isinstance(layers, tuple) else [layers])]
    assert torch.equal(ours(pixels), torch.cat(chosen, dim=1).movedim(1, -1))
    assert ours.feature_dim == 96 * len(chosen)


def test_layers_of_a_hierarchy_have_grids_of_their_own() -> None:
    for layer, grid in ((0, (40, 40)), (1, (20, 20)), (-1, (5, 5))):
        ours = encoder("test_convnext", select_layer=layer)
        assert ours(tiles(ours)).shape == (2, *grid, ours.feature_dim)
    with pytest.raises(ConfigError, match="Sizes of tensors must match"):
        TimmConfig(model="test_convnext", select_layer=(0, 1))


def test_other_sizes_are_taken_by_models_that_take_them() -> None:
    dynamic = encoder("test_vit3", image_size=64, dynamic_size=True)
    fixed, network = encoder("test_vit3"), encoder("test_resnet", image_size=64)
    for ours, grid in ((dynamic, Grid(3, 5)), (network, Grid(2, 3))):
        size = Size(80, 48)
        assert ours.grid_out(size) == grid
        assert ours(tiles(ours, size)).shape[1:3] == grid
    with pytest.raises(ConfigError, match=r"tiles of 80x48 pixels for 'test_vit3': [\s\S]*its tiles are 160x160"):
        fixed.config.check_size(Size(80, 48))
    with pytest.raises(ShapeError, match="takes float\\[N, 3, 160, 160\\]"):
        fixed(tiles(fixed, Size(80, 48)))
    with pytest.raises(ConfigError, match="cannot be built: TypeError"):
        TimmConfig(model="test_resnet", dynamic_size=True)


def test_the_config_tells_what_timm_tells() -> None:
    config = TimmConfig()
    assert (config.tile_size, config.grid_out(config.tile_size)) == (Size(224, 224), Grid(14, 14))
    assert (config.feature_dim, config.cell_size) == (768, Size(16, 16))
    assert config.pixel_mean == config.pixel_std == (0.5, 0.5, 0.5)
    tagged = TimmConfig(model="vit_base_patch16_224.augreg_in1k")
    assert tagged.features == config.features
    assert TimmConfig(model="test_resnet").pixel_mean == timm.get_pretrained_cfg("test_resnet").mean
    assert encoders.resolve("timm", model="test_vit").feature_dim == 64


@pytest.mark.parametrize(("fields", "message"), [
    ({"model": "vit_base_patch16_244"}, r"timm has no model 'vit_base_patch16_244'; did you mean 'vit_base_patch16_"),
    ({"model": "hf-hub:timm/vit"}, r"timm has no model 'hf-hub:timm/vit'"),
    ({"model": "local-dir:/"}, r"timm has no model"),
    ({"model": "test_vit.tag"}, r"'test_vit\.tag' has no weights of the tag 'tag'"),
    ({"model": "test_vit", "select_layer": 99}, r"feature index 99 is out of range"),
    ({"model": "test_vit", "image_size": 8}, r"'test_vit'"),
    ({"model": "test_vit", "image_size": [70, 53]}, r"on tiles of 70x53 pixels: .*divisible by patch size"),
    ({"model": "pit_ti_224"}, r"final features of 'pit_ti_224' are no grid[\s\S]*choose select_layer"),
    ({"model": "crossvit_tiny_240"}, r"final features of 'crossvit_tiny_240' are no grid"),
])  # fmt: skip
def test_models_and_layers_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TimmConfig(**fields)


def test_features_without_a_grid_at_the_end_have_some_on_the_way() -> None:
    assert TimmConfig(model="pit_ti_224", select_layer=-1).features.grid == Grid(7, 7)


@pytest.mark.parametrize("model", ["test_vit_relpos", "test_maxvit", "swinv2_cr_tiny_ns_224"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_built_on_meta_and_loaded_is_what_is_built_at_once(model: str, dtype: torch.dtype) -> None:
    config = TimmConfig(model=model, image_size=64)
    real = Timm(config).eval().to(dtype)
    with torch.device("meta"):
        ours = Timm(config).eval()
    assert all(parameter.is_meta for parameter in ours.parameters())
    ours.load_state_dict(real.state_dict(), assign=True)
    pixels = tiles(ours).to(dtype)
    assert torch.equal(ours(pixels), real(pixels))


@pytest.mark.parametrize("model", ["test_vit", "test_convnext"])
def test_declared_operations_are_the_counted_ones(model: str) -> None:
    ours = encoder(model, image_size=64)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        ours(tiles(ours)[:1])
    assert counter.get_total_flops() == ours.config.forward_flops(ours.config.tile_size)


def test_modules_without_influence_on_the_features_are_named() -> None:
    ours = encoder("test_vit3")
    assert [type(module).__name__ for module in ours.idle_modules()] == ["AttentionPoolLatent"]
    early = encoder("test_vit", select_layer=0)
    assert early.idle_modules() == (*early.model.blocks[1:], early.model.norm)


@pytest.mark.parametrize("model", ["test_vit", "test_resnet"])
def test_weights_come_from_a_safetensors_file(model: str, tmp_path: Path) -> None:
    theirs, file = timm.create_model(model).eval(), tmp_path / "model.safetensors"
    safetensors.torch.save_file(theirs.state_dict(), file)
    ours = Timm.from_pretrained(model, file=file)
    assert not ours.training and ours.state_dict().keys() == encoder(model).state_dict().keys()
    pixels = tiles(ours)
    out = theirs.forward_features(pixels)
    expected = rearrange(out, "n w y x -> n y x w") if out.ndim == 4 else out[:, 1:].unflatten(1, (10, 10))
    assert torch.equal(ours(pixels), expected)


def test_weights_are_resized_to_another_tile_as_timm_resizes_them(tmp_path: Path) -> None:
    theirs, file = timm.create_model("test_vit"), tmp_path / "model.safetensors"
    safetensors.torch.save_file(theirs.state_dict(), file)
    overlay = {"file": str(file), "custom_load": False, "url": ""}
    smaller = timm.create_model("test_vit", pretrained=True, pretrained_cfg_overlay=overlay, img_size=(48, 64)).eval()
    ours = Timm.from_pretrained("test_vit", file=file, image_size=(64, 48))
    pixels = tiles(ours)
    assert torch.equal(ours(pixels).flatten(1, 2), smaller.forward_features(pixels)[:, 1:])


def test_files_that_do_not_fit_are_refused(tmp_path: Path, offline: None) -> None:
    state = timm.create_model("test_vit").state_dict()
    del state["blocks.0.attn.qkv.weight"]
    safetensors.torch.save_file(state, tmp_path / "lacks.safetensors")
    torch.save(state, tmp_path / "pickle.pth")
    with pytest.raises(CheckpointError, match=r"weights of 'test_vit' cannot be loaded: .*blocks\.0\.attn\.qkv"):
        Timm.from_pretrained("test_vit", file=tmp_path / "lacks.safetensors")
    with pytest.raises(CheckpointError, match="no safetensors file"):
        Timm.from_pretrained("test_vit", file=tmp_path / "pickle.pth")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        Timm.from_pretrained("test_vit", file=tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="timm publishes no weights of 'test_maxvit' on the hub"):
        Timm.from_pretrained("test_maxvit")


def test_published_weights_are_asked_for_as_safetensors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(*args: Any, filename: str, **kwargs: Any) -> str:
        asked.append(filename)
        raise FileNotFoundError(filename)

    monkeypatch.setattr("timm.models._hub.hf_hub_download", refuse)
    with pytest.raises(CheckpointError, match="FileNotFoundError"):
        Timm.from_pretrained("test_vit")
    assert asked == ["model.safetensors"]


def test_every_law_of_encoders_holds_at_every_size() -> None:
    check_encoder(TimmConfig(model="test_vit", image_size=(48, 32), dynamic_size=True), compiles=True)
