"""Laws of the hybrid encoder: SAM on the picture as it is, SigLIP on a small one."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.encoders import laws
from tests.strategies import seeds
from vlkit.encoders import Hybrid, HybridConfig, SamConfig, SigLIPConfig
from vlkit.errors import ConfigError, ShapeError
from vlkit.notation import Grid, Size

HIGH = SamConfig(
    image_size=24,
    patch_size=4,
    width=8,
    layers=3,
    heads=2,
    window_size=4,
    global_layers=(2, 1),
    neck_width=6,
    downsample_channels=(5, 7),
    image_mean=(0.3, 0.4, 0.5),
    image_std=(0.2, 0.3, 0.4),
)
LOW = SigLIPConfig(image_size=14, patch_size=7, width=6, layers=2, heads=2, mlp_ratio=2.0, activation="gelu")
CONFIG = HybridConfig(high=HIGH, low=LOW, neck_grid=8)
SIZE = CONFIG.tile_size


def build(**fields: Any) -> Hybrid:
    return laws.drawn(Hybrid(CONFIG.replace(**fields)))


@pytest.mark.parametrize("size", [SIZE, Size(28, 28), Size(24, 28), Size(28, 24)])
def test_only_tiles_of_one_size_are_taken(size: Size) -> None:
    laws.declared_grid_is_the_real_one(build(), size, tiles=2)


@given(st.integers(1, 9), st.integers(1, 3), st.integers(0, 2))
def test_the_grid_follows_from_the_neck_s(patches: int, low_patches: int, convolutions: int) -> None:
    high = HIGH.replace(image_size=4 * patches, downsample_channels=(5,) * convolutions)
    config = HybridConfig(
        high=high, low=LOW.replace(image_size=7 * low_patches), neck_grid=low_patches * 2**convolutions
    )
    laws.declared_grid_is_the_real_one(Hybrid(config).double(), config.tile_size)
    assert config.grid_out(config.tile_size) == Grid(low_patches, low_patches)


@given(seeds)
def test_tiles_do_not_depend_on_each_other(seed: int) -> None:
    laws.tiles_do_not_depend_on_each_other(build(), SIZE, seed)


def test_each_tower_sees_its_own_pixels() -> None:
    encoder, pixels = build(), laws.tiles_of(SIZE, tiles=2)
    mean, std = torch.tensor([[0.3, 0.4, 0.5], [0.2, 0.3, 0.4]], dtype=torch.float64)[..., None, None]
    features = encoder(pixels)
    assert torch.equal(features[..., :7], encoder.high((pixels - mean) / std))
    assert torch.equal(features[..., 7:], encoder.low((encoder.low_picture(pixels) - 0.5) / 0.5))


def test_a_picture_of_one_colour_stays_so_when_it_is_made_small() -> None:
    pixels = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)[None, :, None, None].expand(2, 3, 24, 24)
    torch.testing.assert_close(build().low_picture(pixels), pixels[:, :, :14, :14])


def test_the_second_neck_takes_the_first_global_block_s_output() -> None:
    encoder, seen = build(), dict[str, Tensor]()
    encoder.high.blocks[1].register_forward_hook(lambda module, inputs, output: seen.update(block=output))
    encoder.high.neck_hd.register_forward_pre_hook(lambda module, inputs: seen.update(neck=inputs[0]))
    encoder(laws.tiles_of(SIZE))
    assert seen["neck"] is seen["block"]


def test_the_second_neck_counts_as_much_as_its_weight() -> None:
    encoder, pixels = build(), laws.tiles_of(SIZE)
    features = {}
    for alpha in (0.0, 1.0, 2.0):
        torch.nn.init.constant_(encoder.high.hd_alpha_downsamples, alpha)
        features[alpha] = encoder.high(pixels)
    torch.testing.assert_close(features[2.0] - features[1.0], features[1.0] - features[0.0])
    torch.nn.init.zeros_(encoder.high.hd_alpha_downsamples)
    laws.drawn(encoder.high.neck_hd, seed=9)
    assert torch.equal(encoder.high(pixels), features[0.0]) and not torch.equal(features[1.0], features[0.0])


def test_declared_operations_are_the_counted_ones() -> None:
    laws.declared_operations_are_the_counted_ones(build(), SIZE)
    laws.declared_operations_are_the_counted_ones(build(low=LOW.replace(select_layer=0)), SIZE)


@pytest.mark.parametrize("low_width", [6, 240])
def test_estimated_bytes_are_about_the_held_ones(low_width: int) -> None:
    """Both where SAM is the hungrier part and where SigLIP is."""
    high = HIGH.replace(image_size=80, width=24)
    config = HybridConfig(high=high, low=LOW.replace(image_size=70, width=low_width), neck_grid=40)
    laws.estimated_bytes_are_about_the_held_ones(config, config.tile_size, torch.float32)


def test_gradients_reach_all_but_the_norms_and_the_pooling_head() -> None:
    encoder = build()
    laws.gradients_reach_all_but_idle_parameters(encoder, SIZE)
    assert {encoder.high_layer_norm, encoder.low_layer_norm, encoder.low.attn_pool} <= set(encoder.idle_modules())


@pytest.mark.parametrize("block", ["high.blocks.0", "high.blocks.2", "low.blocks.1"])
def test_saving_memory_changes_no_gradient(block: str) -> None:
    part = block.split(".")[0]
    saving = build(**{part: getattr(CONFIG, part).replace(gradient_checkpointing=True)})
    laws.saving_memory_changes_no_gradient(build(), saving, block, SIZE)


@pytest.mark.parametrize(("fields", "rule"), [
    ({"high": HIGH.replace(global_layers=())}, "output of the first block"),
    ({"neck_grid": 12}, "a grid of 3x3, low one of 2x2"),
    ({"low": LOW.replace(image_size=(14, 21))}, "stand side by side"),
])  # fmt: skip
def test_towers_that_do_not_fit_are_refused(fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        CONFIG.replace(**fields)


def test_pixels_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"float\[N, 3, 24, 24\]"):
        build()(torch.zeros(1, 3, 24, 20, dtype=torch.float64))


def test_a_config_survives_json() -> None:
    for config in (HybridConfig(), CONFIG):
        assert HybridConfig.model_validate_json(config.model_dump_json(exclude_defaults=True)) == config


def test_the_default_is_that_of_deepseek_vl_7b() -> None:
    config = HybridConfig()
    assert (config.tile_size, config.grid_out(config.tile_size)) == (Size(1024, 1024), Grid(24, 24))
    assert (config.feature_dim, config.high.feature_dim, config.low.feature_dim) == (2048, 1024, 1024)
    assert (config.pixel_mean, config.pixel_std) == ((0, 0, 0), (1, 1, 1))
    assert config.high.pixel_mean == (0.48145466, 0.4578275, 0.40821073)
    assert config.low.pixel_mean == (0.5, 0.5, 0.5)
    assert laws.parameters_on_meta(config) == 412_644_609
