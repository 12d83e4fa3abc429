"""Laws of the vision transformer: grid, unused pixels, stems, selected layers, pooling, memory saving."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.encoders import laws
from tests.strategies import grids, normal, seeds
from tests.tolerances import EXACT
from vlkit.encoders import SigLIP, SigLIPConfig, encoders
from vlkit.errors import ConfigError, ShapeError
from vlkit.notation import Grid, Size
from vlkit.testing import check_part

TINY: dict[str, Any] = {"patch_size": 4, "width": 8, "layers": 3, "heads": 2, "mlp_ratio": 1.5}
STEMS: dict[tuple[int, ...], tuple[int, int]] = {
    (5,): (2, 1),
    (5, 6): (2, 3),
    (5, 6, 4): (4, 5),
    (4, 4, 6, 6, 5): (8, 13),
}
"""Channels of stems, the side of their patches, and how far from the first pixel of its patch a feature sees."""


def build(**fields: Any) -> SigLIP:
    """Small encoder in float64, with every parameter drawn at random."""
    encoder = encoders.build(SigLIPConfig(**(TINY | {"image_size": 12} | fields))).double()
    assert isinstance(encoder, SigLIP)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return encoder.eval()


@settings(max_examples=25)
@given(st.integers(1, 7), st.integers(0, 20), st.integers(0, 20), st.booleans(), st.integers(0, 2))
def test_declared_grid_is_the_real_one_for_any_tile(
    patch: int, more_width: int, more_height: int, class_token: bool, tiles: int
) -> None:
    size = Size(patch + more_width, patch + more_height)
    encoder = build(patch_size=patch, image_size=tuple(size), class_token=class_token, layers=1)
    out = encoder(torch.zeros(tiles, 3, size.height, size.width, dtype=torch.float64))
    assert out.shape == (tiles, *encoder.grid_out(size), encoder.feature_dim)
    assert encoder.grid_out(size) == Grid(size.height // patch, size.width // patch)
    assert (encoder.config.tile_size, encoder.config.cell_size) == (size, Size(patch, patch))


@given(st.integers(12, 15), st.integers(12, 15), seeds)
def test_pixels_beyond_the_last_whole_patch_are_not_used_and_all_others_are(width: int, height: int, seed: int) -> None:
    encoder, pixels = build(image_size=(width, height), layers=1), normal(seed, 1, 3, height, width)
    changed = pixels.clone()
    changed[:, :, 12:] += 1
    changed[:, :, :, 12:] -= 1
    assert torch.equal(encoder(pixels), encoder(changed))
    changed[:, :, 11, 11] += 1
    assert not torch.allclose(encoder(pixels), encoder(changed))


@given(seeds)
def test_features_stand_where_their_patch_is(seed: int) -> None:
    encoder, pixels = build(image_size=(20, 8), layers=1), normal(seed, 1, 3, 8, 20)
    encoder.blocks = torch.nn.ModuleList()
    changed = pixels.clone()
    changed[0, :, 4:8, 12:16] += 1
    moved = (encoder(pixels) != encoder(changed)).any(dim=-1)[0]
    assert moved.nonzero().tolist() == [[1, 3]]


@settings(max_examples=25)
@given(st.sampled_from([*STEMS]), grids(4), st.booleans())
def test_behind_a_stem_the_declared_grid_is_the_real_one(stem: tuple[int, ...], grid: Grid, class_token: bool) -> None:
    side = STEMS[stem][0]
    size = Size(side * grid.cols, side * grid.rows)
    encoder = build(stem=stem, patch_size=side, image_size=tuple(size), class_token=class_token, layers=1)
    laws.declared_grid_is_the_real_one(encoder, size, tiles=2)
    assert encoder.grid_out(size) == grid


@pytest.mark.parametrize("stem", STEMS)
@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_behind_a_stem_features_see_their_patch_and_the_pixels_around_it(
    stem: tuple[int, ...], down: float, across: float
) -> None:
    (side, radius), (rows, cols) = STEMS[stem], (5, 6)
    encoder = build(stem=stem, patch_size=side, image_size=(side * cols, side * rows), layers=1)
    encoder.blocks = torch.nn.ModuleList()
    row, col = int(down * side * rows), int(across * side * cols)
    pixels = laws.tiles_of(encoder.config.tile_size)
    pixels[0, :, row, col] = float("nan")
    seen = encoder(pixels).isnan()[0]
    near = [[max(abs(side * y - row), abs(side * x - col)) <= radius for x in range(cols)] for y in range(rows)]
    assert seen.all(dim=-1).tolist() == seen.any(dim=-1).tolist() == near
    assert near[row // side][col // side]


@pytest.mark.parametrize("stem", STEMS)
def test_behind_a_stem_the_laws_of_encoders_hold(stem: tuple[int, ...]) -> None:
    side = STEMS[stem][0]
    encoder = build(stem=stem, patch_size=side, image_size=(2 * side, 3 * side), class_token=True)
    size = encoder.config.tile_size
    laws.tiles_do_not_depend_on_each_other(encoder, size, seed=0)
    laws.declared_operations_are_the_counted_ones(encoder, size)
    laws.gradients_reach_all_but_idle_parameters(encoder, size)
    assert not check_part(encoder.config, skip=["compile", "export"]).of("noted")


@pytest.mark.usefixtures("half_products")
@pytest.mark.parametrize("stem", [(4, 4, 4), (96, 96, 96), (8, 8, 1024)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_with_a_stem_estimated_bytes_are_about_the_held_ones(stem: tuple[int, ...], dtype: torch.dtype) -> None:
    """Where the blocks take the most, the first maps, or the last one."""
    config = SigLIPConfig(image_size=64, patch_size=4, stem=stem, width=64, layers=2, heads=4)
    laws.estimated_bytes_are_about_the_held_ones(config, config.tile_size, dtype)


@given(seeds)
def test_tiles_do_not_depend_on_each_other(seed: int) -> None:
    encoder, pixels = build(), normal(seed, 3, 3, 12, 12)
    alone = torch.cat([encoder(tile) for tile in pixels.split(1)])
    assert torch.allclose(encoder(pixels), alone, rtol=0, atol=EXACT)


@pytest.mark.parametrize("class_token", [False, True])
@pytest.mark.parametrize("layer", [0, 1, 2, -1, -2, -3])
def test_a_selected_layer_is_that_block_s_output_without_the_last_norm(layer: int, class_token: bool) -> None:
    encoder = build(class_token=class_token)
    outputs: list[Tensor] = []
    for block in encoder.blocks:
        block.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    pixels = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    normed = encoder.forward_features(pixels)
    whole = outputs.copy()
    assert torch.equal(encoder.norm(whole[-1]), normed) and not torch.allclose(whole[-1], normed)
    selected = encoders.build(encoder.config.replace(select_layer=layer)).double()
    selected.load_state_dict(encoder.state_dict())
    assert torch.equal(selected(pixels).flatten(1, 2), whole[layer][:, int(class_token) :])


@pytest.mark.parametrize("pool", ["map", "avg", "token", "none"])
def test_pooling_gives_one_vector_per_tile_or_all_tokens(pool: str) -> None:
    encoder = build(pool=pool, class_token=pool == "token")
    pixels = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    tokens, pooled = encoder.forward_features(pixels), encoder.forward_pooled(pixels)
    assert pooled.shape == ((2, 9, 8) if pool == "none" else (2, 8))
    if pool in ("avg", "token", "none"):
        expected = {"avg": encoder.fc_norm(tokens.mean(dim=1)), "token": tokens[:, 0], "none": tokens}[pool]
        assert torch.equal(pooled, expected)


def test_average_pooling_leaves_features_unnormalised() -> None:
    features = build(pool="avg")(torch.randn(2, 3, 12, 12, dtype=torch.float64))
    assert not torch.allclose(features.var(dim=-1), torch.ones_like(features[..., 0]), atol=0.1)
    assert not any(name.startswith("norm.") for name in build(pool="avg").state_dict())


@pytest.mark.parametrize(("activation", "approximate"), [("gelu_tanh", "tanh"), ("gelu", "none")])
def test_the_blocks_use_the_activation_that_is_asked_for(activation: str, approximate: str) -> None:
    block, x = build(activation=activation).blocks[0], torch.randn(5, 12, dtype=torch.float64)
    expected = torch.nn.functional.gelu(x, approximate=approximate)
    assert torch.equal(block.get_submodule("mlp.act")(x), expected)


@pytest.mark.parametrize("select_layer", [None, 1])
def test_gradient_checkpointing_changes_no_gradient(select_layer: int | None) -> None:
    plain = build(select_layer=select_layer).train()
    saving = encoders.build(plain.config.replace(gradient_checkpointing=True)).double().train()
    saving.load_state_dict(plain.state_dict())
    pixels, runs = torch.randn(2, 3, 12, 12, dtype=torch.float64), 0

    def count(*_: object) -> None:
        nonlocal runs
        runs += 1

    saving.get_submodule("blocks.0").register_forward_pre_hook(count)
    for encoder in (plain, saving):
        encoder(pixels).square().sum().backward()
    assert runs == 2
    for (name, expected), (_, found) in zip(plain.named_parameters(), saving.named_parameters(), strict=True):
        if expected.grad is None or found.grad is None:
            assert expected.grad is found.grad, name
        else:
            assert torch.allclose(expected.grad, found.grad, rtol=0, atol=EXACT), name


@pytest.mark.parametrize("shape", [(1, 3, 12, 16), (1, 3, 16, 12), (3, 12, 12), (1, 1, 12, 12), (1, 1, 3, 12, 12)])
def test_pixels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"float\[N, 3, 12, 12\]"):
        build()(torch.zeros(shape, dtype=torch.float64))


@pytest.mark.parametrize(("fields", "rule"), [
    ({"width": 30, "heads": 4}, "the heads divide the width"),
    ({"image_size": 13}, "at least one patch"),
    ({"image_size": (100, 13)}, "at least one patch"),
    ({"pool": "token"}, "takes the class token"),
    ({"select_layer": 27}, "from -1 to -27"),
    ({"select_layer": -28}, "from -1 to -27"),
    ({"stem": (8, 8, 8, 8)}, "here down to patches of 4[\\s\\S]*remedy: patch_size 4, or another stem"),
    ({"stem": (8,), "patch_size": 1}, "here down to patches of 2"),
    ({"stem": (8, 8, 8), "patch_size": 8}, "here down to patches of 4"),
    ({"stem": (8, 8, 8), "patch_size": 4, "image_size": 14}, "the patch size divides both sides of a tile"),
    ({"stem": (8,), "patch_size": 2, "image_size": (14, 15)}, "the patch size divides both sides of a tile"),
    ({"stem": (8, 0, 8), "patch_size": 4}, "stem.1: .*greater than or equal to 1"),
    ({"stem": (1,) * 17}, "at most 16 items"),
])  # fmt: skip
def test_fields_that_cannot_go_together_are_refused(fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        SigLIPConfig(**fields)


@pytest.mark.parametrize("class_token", [False, True])
def test_declared_operations_are_the_counted_ones(class_token: bool) -> None:
    encoder = build(image_size=(14, 10), class_token=class_token, pool="none")
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        encoder(torch.zeros(1, 3, 10, 14, dtype=torch.float64))
    assert counter.get_total_flops() == encoder.config.forward_flops(encoder.config.tile_size)


def test_the_default_is_the_released_encoder() -> None:
    config = SigLIPConfig()
    assert (config.tile_size, config.grid_out(config.tile_size)) == (Size(384, 384), Grid(27, 27))
    assert (config.feature_dim, config.mlp_width, config.stem) == (1152, 4304, ())
    with torch.device("meta"):
        assert sum(p.numel() for p in encoders.build(config).parameters()) == 428_225_600
