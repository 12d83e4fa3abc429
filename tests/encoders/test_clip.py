"""Laws of CLIP's encoder: sizes, class token, patches from elsewhere, selected layers."""

from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.encoders import laws
from tests.strategies import grids, normal, seeds
from tests.tolerances import EXACT
from vlkit.encoders import Clip, ClipConfig
from vlkit.errors import ConfigError, ShapeError
from vlkit.notation import Grid, Size

TINY: dict[str, Any] = {"image_size": 12, "patch_size": 4, "width": 8, "layers": 3, "heads": 2, "mlp_ratio": 1.5}
CLASS_TOKEN: list[Literal["drop", "keep"]] = ["drop", "keep"]


def square(side: int) -> Size:
    return Size(side, side)


def build(**fields: Any) -> Clip:
    return laws.drawn(Clip(ClipConfig(**(TINY | fields))))


@pytest.mark.parametrize("class_token", CLASS_TOKEN)
@settings(max_examples=25)
@given(size=st.builds(Size, st.integers(1, 30), st.integers(1, 30)) | st.integers(1, 7).map(lambda n: square(4 * n)))
def test_squares_of_whole_patches_are_taken_and_others_refused(class_token: str, size: Size) -> None:
    laws.declared_grid_is_the_real_one(build(class_token=class_token, layers=1), size, tiles=2)


@given(st.sampled_from([4, 12, 20]), seeds)
def test_tiles_do_not_depend_on_each_other(side: int, seed: int) -> None:
    laws.tiles_do_not_depend_on_each_other(build(class_token="keep"), square(side), seed)


@given(st.sampled_from([12, 20]), seeds)
def test_the_class_token_is_first_and_patches_follow_row_by_row(side: int, seed: int) -> None:
    encoder, pixels = build(), normal(seed, 1, 3, side, side)
    changed = pixels.clone()
    changed[0, :, 4:8, 8:12] += 1
    before, after = (encoder.embeddings(encoder.embeddings.patches(each)) for each in (pixels, changed))
    assert (before != after).any(dim=-1)[0].nonzero().tolist() == [[1 + side // 4 + 2]]
    assert torch.equal(
        before[0, 0], encoder.embeddings.class_embedding + encoder.embeddings.position_embedding.weight[0]
    )


@pytest.mark.parametrize("side", [12, 20])
def test_a_kept_class_token_follows_every_feature(side: int) -> None:
    dropping, keeping = build(), build(class_token="keep")
    pixels = normal(0, 2, 3, side, side)
    tokens, features = keeping.forward_features(pixels), keeping(pixels)
    assert features.shape[-1] == keeping.feature_dim == 16
    assert torch.equal(features[..., :8], dropping(pixels))
    assert torch.equal(features[..., :8].flatten(1, 2), tokens[:, 1:])
    assert torch.equal(features[..., 8:], tokens[:, :1, None].expand(-1, side // 4, side // 4, -1))


@given(grids(5), seeds)
def test_patches_of_another_network_stand_in_for_its_own(grid: Grid, seed: int) -> None:
    encoder, patches = build(), normal(seed, 2, *grid, 8)
    tokens = encoder.encode(patches)
    assert tokens.shape == (2, 1 + grid.area, 8)
    assert torch.equal(encoder.forward_patches(patches).flatten(1, 2), tokens[:, 1:])
    pixels = normal(seed, 2, 3, 20, 20)
    assert torch.equal(encoder.forward_patches(encoder.embeddings.patches(pixels)), encoder(pixels))


@pytest.mark.parametrize("layer", [0, 1, 2, -1, -2, -3])
def test_a_selected_layer_is_that_block_s_output(layer: int) -> None:
    encoder, outputs = build(), list[Tensor]()
    for block in encoder.blocks:
        block.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    pixels = normal(0, 2, 3, 12, 12)
    assert torch.equal(encoder.forward_features(pixels), outputs[-1])
    selected = build(select_layer=layer)
    assert torch.equal(selected.forward_features(pixels), outputs[layer])
    assert len(selected.idle_modules()) == 3 - selected.config.blocks_run


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@given(seed=seeds)
def test_the_blocks_use_the_activation_that_is_asked_for(activation: str, seed: int) -> None:
    (block,), x = build(layers=1, activation=activation).blocks, normal(seed, 4, 12)
    expected = x * torch.sigmoid(1.702 * x) if activation == "quick_gelu" else x / 2 * (1 + torch.erf(x / 2**0.5))
    assert torch.allclose(block.get_submodule("mlp.act")(x), expected, rtol=0, atol=EXACT)


@pytest.mark.parametrize("select_layer", [-1, 0])
@pytest.mark.parametrize("side", [12, 8])
def test_declared_operations_are_the_counted_ones(select_layer: int, side: int) -> None:
    laws.declared_operations_are_the_counted_ones(build(select_layer=select_layer), square(side))


@pytest.mark.usefixtures("half_products")
@pytest.mark.parametrize("fields", [{}, {"activation": "gelu"}, {"mlp_ratio": 1.0}])
def test_estimated_bytes_are_about_the_held_ones(fields: dict[str, Any]) -> None:
    config = ClipConfig(**(TINY | {"image_size": 40, "width": 24, "mlp_ratio": 4.0} | fields))
    for dtype in (torch.float32, torch.bfloat16):
        laws.estimated_bytes_are_about_the_held_ones(config, config.tile_size, dtype)


@pytest.mark.parametrize("select_layer", [-1, -2])
@pytest.mark.parametrize("class_token", CLASS_TOKEN)
def test_gradients_reach_all_but_idle_parameters(select_layer: int, class_token: str) -> None:
    encoder = build(select_layer=select_layer, class_token=class_token)
    laws.gradients_reach_all_but_idle_parameters(encoder, square(20))


def test_saving_memory_changes_no_gradient() -> None:
    saving = build(gradient_checkpointing=True)
    laws.saving_memory_changes_no_gradient(build(), saving, "transformer.layers.1", square(12))


@pytest.mark.parametrize("shape", [(3, 12, 12), (1, 1, 12, 12), (1, 3, 12, 16), (1, 3, 14, 14)])
def test_pixels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    for run in (build(), build().forward_features):
        with pytest.raises(ShapeError, match=r"float\[N, 3, 12, 12\]"):
            run(torch.zeros(shape, dtype=torch.float64))


@pytest.mark.parametrize("shape", [(1, 9, 8), (1, 3, 3, 7), (8,)])
def test_patches_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"float\[N, Y, X, 8\]"):
        build().forward_patches(torch.zeros(shape, dtype=torch.float64))


@pytest.mark.parametrize(("fields", "rule"), [
    ({"width": 30, "heads": 4}, "the heads divide the width"),
    ({"image_size": 230}, "squares of whole patches of 14 pixels"),
    ({"select_layer": 24}, "from -1 to -24"),
    ({"select_layer": -25}, "from -1 to -24"),
])  # fmt: skip
def test_fields_that_cannot_go_together_are_refused(fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        ClipConfig(**fields)


def test_the_default_is_openai_s_vit_l() -> None:
    config = ClipConfig()
    assert (config.grid_out(config.tile_size), config.feature_dim) == (Grid(16, 16), 1024)
    assert config.pixel_mean == (0.48145466, 0.4578275, 0.40821073)
    assert config.pixel_std == (0.26862954, 0.26130258, 0.27577711)
    assert laws.parameters_on_meta(config) == 303_177_728
