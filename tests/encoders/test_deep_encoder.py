"""Laws of DeepEncoder: CLIP on SAM's features, both side by side."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.encoders import laws
from tests.strategies import normal, seeds
from vlkit.encoders import ClipConfig, DeepEncoder, DeepEncoderConfig, SamConfig
from vlkit.errors import ConfigError, ShapeError
from vlkit.notation import Grid, Size

SAM = SamConfig(
    image_size=32,
    patch_size=4,
    width=8,
    layers=2,
    heads=2,
    window_size=3,
    global_layers=(1,),
    neck_width=6,
    downsample_channels=(5, 12),
)
CLIP = ClipConfig(image_size=8, patch_size=4, width=12, layers=2, heads=3, mlp_ratio=2.0)
CONFIG = DeepEncoderConfig(sam=SAM, clip=CLIP)


def square(side: int) -> Size:
    return Size(side, side)


def build(**fields: Any) -> DeepEncoder:
    return laws.drawn(DeepEncoder(CONFIG.replace(**fields)))


@settings(max_examples=25)
@given(st.builds(Size, st.integers(1, 45), st.integers(1, 45)) | st.integers(1, 11).map(lambda n: square(4 * n)))
def test_squares_of_whole_patches_are_taken_and_others_refused(size: Size) -> None:
    laws.declared_grid_is_the_real_one(build(), size, tiles=2)


@given(st.sampled_from([16, 32, 48]), seeds)
def test_tiles_do_not_depend_on_each_other(side: int, seed: int) -> None:
    laws.tiles_do_not_depend_on_each_other(build(), square(side), seed)


@given(st.sampled_from([16, 32, 48]), seeds)
def test_clip_sees_sam_s_features_and_stands_before_them(side: int, seed: int) -> None:
    encoder, pixels = build(), normal(seed, 2, 3, side, side)
    sam, features = encoder.sam(pixels), encoder(pixels)
    assert torch.equal(features[..., 12:], sam)
    assert torch.equal(features[..., :12].flatten(1, 2), encoder.clip.encode(sam)[:, 1:])


def test_the_class_token_can_be_kept() -> None:
    encoder = build(clip=CLIP.replace(class_token="keep"))
    assert encoder.feature_dim == 36
    laws.declared_grid_is_the_real_one(encoder, square(32))


@pytest.mark.parametrize("side", [32, 40])
def test_declared_operations_are_the_counted_ones(side: int) -> None:
    laws.declared_operations_are_the_counted_ones(build(), square(side))


@pytest.mark.parametrize("width", [12, 480])
def test_estimated_bytes_are_about_the_held_ones(width: int) -> None:
    """Both where SAM is the hungrier part and where CLIP is."""
    sam = SAM.replace(image_size=64, width=24, downsample_channels=(5, width), global_layers=())
    config = DeepEncoderConfig(sam=sam, clip=CLIP.replace(width=width, mlp_ratio=6.0))
    laws.estimated_bytes_are_about_the_held_ones(config, config.tile_size, torch.float32)


def test_gradients_reach_all_but_clip_s_own_patches() -> None:
    encoder = build()
    laws.gradients_reach_all_but_idle_parameters(encoder, square(48))
    assert encoder.idle_modules() == (encoder.clip.embeddings.patch_embedding,)


def test_unused_blocks_of_clip_are_idle_too() -> None:
    laws.gradients_reach_all_but_idle_parameters(build(clip=CLIP.replace(select_layer=0)), square(32))


@pytest.mark.parametrize("block", ["sam.blocks.0", "clip.transformer.layers.1"])
def test_saving_memory_changes_no_gradient(block: str) -> None:
    part = block.split(".")[0]
    saving = build(**{part: getattr(CONFIG, part).replace(gradient_checkpointing=True)})
    laws.saving_memory_changes_no_gradient(build(), saving, block, square(32))


def test_pixels_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match="squares of whole patches of 4 pixels"):
        build()(torch.zeros(1, 3, 32, 48, dtype=torch.float64))


def test_sam_and_clip_have_to_fit() -> None:
    with pytest.raises(ConfigError, match=r"width 12, clip patches of width 16"):
        DeepEncoderConfig(sam=SAM, clip=CLIP.replace(width=16, heads=4))


def test_the_default_is_that_of_deepseek_ocr() -> None:
    config = DeepEncoderConfig()
    grids = [config.grid_out(square(side)) for side in (512, 640, 1024, 1280)]
    assert grids == [Grid(side, side) for side in (8, 10, 16, 20)]
    assert (config.feature_dim, config.tile_size, config.cell_size) == (2048, square(1024), square(64))
    assert config.pixel_mean == config.pixel_std == (0.5, 0.5, 0.5)
    assert laws.parameters_on_meta(config) == 398_746_880
