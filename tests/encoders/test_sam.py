"""Laws of SAM's encoder: sizes, windows, positions, neck and compression."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.encoders import laws
from tests.strategies import normal, seeds
from vlkit.encoders import Sam, SamConfig
from vlkit.errors import ConfigError, ShapeError
from vlkit.notation import Grid, Size

TINY: dict[str, Any] = {
    "image_size": 24,
    "patch_size": 4,
    "width": 8,
    "layers": 3,
    "heads": 2,
    "mlp_ratio": 1.5,
    "window_size": 4,
    "global_layers": (1,),
    "neck_width": 6,
    "downsample_channels": (5, 7),
}


def square(side: int) -> Size:
    return Size(side, side)


def build(**fields: Any) -> Sam:
    return laws.drawn(Sam(SamConfig(**(TINY | fields))))


@settings(max_examples=25)
@given(st.builds(Size, st.integers(1, 45), st.integers(1, 45)) | st.integers(1, 11).map(lambda n: square(4 * n)))
def test_squares_of_whole_patches_are_taken_and_others_refused(size: Size) -> None:
    laws.declared_grid_is_the_real_one(build(layers=2), size, tiles=2)


@given(st.integers(1, 64), st.integers(0, 3))
def test_each_convolution_behind_the_neck_halves_the_grid(patches: int, convolutions: int) -> None:
    config = SamConfig(**(TINY | {"downsample_channels": (5,) * convolutions}))
    side = -(-patches // 2**convolutions)
    assert config.grid_out(square(4 * patches)) == Grid(side, side)
    assert config.feature_dim == (5 if convolutions else 6)


@given(st.sampled_from([4, 12, 24, 32]), seeds)
def test_tiles_do_not_depend_on_each_other(side: int, seed: int) -> None:
    laws.tiles_do_not_depend_on_each_other(build(), square(side), seed)


@given(seeds)
def test_features_stand_where_their_patch_is(seed: int) -> None:
    encoder, pixels = build(), normal(seed, 1, 3, 32, 32)
    changed = pixels.clone()
    changed[0, :, 4:8, 12:16] += 1
    moved = (encoder.embed(pixels) != encoder.embed(changed)).any(dim=-1)[0]
    assert moved.nonzero().tolist() == [[1, 3]]


@given(st.integers(0, 5), st.integers(0, 5))
def test_attention_stays_in_the_window_but_in_global_layers(row: int, col: int) -> None:
    pixels = normal(0, 1, 3, 24, 24)
    changed = pixels.clone()
    changed[0, :, 4 * row : 4 * row + 4, 4 * col : 4 * col + 4] += 1
    near, wide = build(global_layers=(), layers=2), build(global_layers=(0,), layers=1)
    moved = (near.forward_features(pixels) != near.forward_features(changed)).any(dim=-1)[0]
    window = [[y // 4 == row // 4 and x // 4 == col // 4 for x in range(6)] for y in range(6)]
    assert moved.tolist() == window
    assert (wide.forward_features(pixels) != wide.forward_features(changed)).any(dim=-1).all()


def test_without_compression_the_features_are_the_neck_s() -> None:
    encoder, whole = build(downsample_channels=()), build()
    whole.load_state_dict(encoder.state_dict(), strict=False)
    pixels = normal(0, 1, 3, 24, 24)
    neck = encoder.neck(encoder.forward_features(pixels))
    assert torch.equal(encoder(pixels), neck) and neck.shape == (1, 6, 6, 6)
    by_hand = whole.get_submodule("net_3")(whole.get_submodule("net_2")(neck))
    assert torch.equal(whole(pixels), by_hand)


@pytest.mark.parametrize("global_layers", [(), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("side", [24, 28, 8])
def test_declared_operations_are_the_counted_ones(global_layers: tuple[int, ...], side: int) -> None:
    laws.declared_operations_are_the_counted_ones(build(global_layers=global_layers), square(side))


@pytest.mark.usefixtures("half_products")
@pytest.mark.parametrize("fields", [{}, {"mlp_ratio": 12.0}, {"global_layers": ()}, {"window_size": 7}])
def test_estimated_bytes_are_about_the_held_ones(fields: dict[str, Any]) -> None:
    config = SamConfig(**(TINY | {"image_size": 64, "width": 24, "window_size": 4} | fields))
    for dtype in (torch.float32, torch.bfloat16):
        laws.estimated_bytes_are_about_the_held_ones(config, config.tile_size, dtype)


@pytest.mark.parametrize("side", [24, 32])
def test_gradients_reach_all_parameters(side: int) -> None:
    encoder = build()
    laws.gradients_reach_all_but_idle_parameters(encoder, square(side))
    assert encoder.idle_modules() == ()


def test_saving_memory_changes_no_gradient() -> None:
    laws.saving_memory_changes_no_gradient(build(), build(gradient_checkpointing=True), "blocks.1", square(24))


@pytest.mark.parametrize("shape", [(3, 24, 24), (1, 1, 24, 24), (1, 3, 24, 28), (1, 3, 26, 26), (1, 3, 0, 0)])
def test_pixels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"float\[N, 3, 24, 24\]"):
        build()(torch.zeros(shape, dtype=torch.float64))


@pytest.mark.parametrize(("fields", "rule"), [
    ({"width": 30, "heads": 4}, "the heads divide the width"),
    ({"image_size": 1000}, "squares of whole patches of 16 pixels"),
    ({"global_layers": (2, 12)}, "counted from 0 to 11"),
    ({"global_layers": (2, 2)}, "named once"),
    ({"global_layers": (-1,)}, "greater than or equal to 0"),
    ({"image_std": (0.5, 0.0, 0.5)}, "greater than 0"),
])  # fmt: skip
def test_fields_that_cannot_go_together_are_refused(fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        SamConfig(**fields)


def test_pixels_are_normalised_as_the_weights_want_it() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    config = SamConfig(image_mean=mean, image_std=std)
    assert (config.pixel_mean, config.pixel_std) == (mean, std)
    assert SamConfig().pixel_mean == SamConfig().pixel_std == (0.5, 0.5, 0.5)


def test_the_default_is_that_of_deepseek_ocr_and_sam_itself_is_vit_b() -> None:
    config = SamConfig()
    assert (config.grid_out(square(1024)), config.grid_out(square(640))) == (Grid(16, 16), Grid(10, 10))
    assert (config.feature_dim, config.cell_size) == (1024, square(64))
    assert laws.parameters_on_meta(config) == 95_569_152
    assert laws.parameters_on_meta(config.replace(downsample_channels=())) == 89_670_912
