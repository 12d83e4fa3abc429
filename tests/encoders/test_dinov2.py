"""Laws of DINOv2: sizes, prefix tokens, positions, layers, gated blocks, costs."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.description.live_bytes import LiveBytes
from tests.strategies import normal, seeds
from tests.tolerances import EXACT
from vlkit.encoders import Dinov2, Dinov2Config, encoders
from vlkit.errors import ConfigError, ShapeError
from vlkit.notation import Grid, Size

TINY: dict[str, Any] = {"patch_size": 4, "width": 8, "layers": 3, "heads": 2, "mlp_ratio": 1.5}
KINDS = [{}, {"registers": 3, "antialias": True}, {"mlp": "swiglu", "mlp_ratio": 4.0}]


def build(**fields: Any) -> Dinov2:
    """Small encoder in float64, with every parameter drawn at random."""
    encoder = encoders.build(Dinov2Config(**(TINY | {"image_size": 12} | fields))).double()
    assert isinstance(encoder, Dinov2)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return encoder.eval()


@settings(max_examples=25)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2), st.sampled_from(KINDS))
def test_any_size_in_whole_patches_has_the_declared_grid(
    patch: int, rows: int, cols: int, tiles: int, kind: dict[str, Any]
) -> None:
    encoder = build(patch_size=patch, image_size=2 * patch, layers=1, **kind)
    size = Size(cols * patch, rows * patch)
    encoder.config.check_size(size)
    out = encoder(torch.zeros(tiles, 3, size.height, size.width, dtype=torch.float64))
    assert out.shape == (tiles, rows, cols, encoder.feature_dim)
    assert encoder.grid_out(size) == Grid(rows, cols)
    assert encoder.config.cell_size == Size(patch, patch)


@pytest.mark.parametrize("size", [(4, 6), (6, 4), (3, 3), (0, 4), (13, 12)])
def test_other_sizes_are_refused(size: tuple[int, int]) -> None:
    encoder = build()
    with pytest.raises(ConfigError, match="whole patches of 4 pixels"):
        encoder.config.check_size(Size(*size))
    with pytest.raises(ShapeError, match="whole patches of 4 pixels"):
        encoder(torch.zeros(1, 3, size[1], size[0], dtype=torch.float64))


@pytest.mark.parametrize("shape", [(3, 12, 12), (1, 1, 12, 12), (1, 1, 3, 12, 12)])
def test_pixels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"float\[N, 3, 12, 12\]"):
        build()(torch.zeros(shape, dtype=torch.float64))


@given(seeds)
def test_features_stand_where_their_patch_is(seed: int) -> None:
    encoder, pixels = build(registers=2, layers=1), normal(seed, 1, 3, 8, 20)
    encoder.blocks = torch.nn.ModuleList()
    changed = pixels.clone()
    changed[0, :, 4:8, 12:16] += 1
    moved = (encoder(pixels) != encoder(changed)).any(dim=-1)[0]
    assert moved.nonzero().tolist() == [[1, 3]]


@given(seeds, st.sampled_from(KINDS))
def test_tiles_do_not_depend_on_each_other(seed: int, kind: dict[str, Any]) -> None:
    encoder, pixels = build(**kind), normal(seed, 3, 3, 12, 8)
    alone = torch.cat([encoder(tile) for tile in pixels.split(1)])
    assert torch.allclose(encoder(pixels), alone, rtol=0, atol=EXACT)


@pytest.mark.parametrize("registers", [0, 3])
def test_class_token_and_registers_stand_before_the_patches(registers: int) -> None:
    encoder = build(registers=registers)
    tokens = encoder.embed(torch.zeros(2, 3, 12, 16, dtype=torch.float64))
    assert tokens.shape == (2, 1 + registers + 12, 8)
    assert torch.equal(tokens[:, :1], (encoder.cls_token + encoder.pos_embed[:, :1]).expand(2, -1, -1))
    if encoder.register_tokens is None:
        assert "register_tokens" not in encoder.state_dict()
    else:
        assert torch.equal(tokens[:, 1:4], encoder.register_tokens.expand(2, -1, -1))


@pytest.mark.parametrize("antialias", [False, True])
def test_positions_are_resized_for_other_grids_only(antialias: bool) -> None:
    encoder = build(image_size=(12, 20), antialias=antialias)
    native = encoder.pos_embed[:, 1:]
    assert torch.equal(encoder.positions(Grid(5, 3)), native)
    image = native.unflatten(1, (5, 3)).movedim(-1, 1)
    for grid in (Grid(3, 5), Grid(2, 2), Grid(9, 4)):
        expected = F.interpolate(image, size=grid, mode="bicubic", antialias=antialias).flatten(2).mT
        assert torch.allclose(encoder.positions(grid), expected, rtol=0, atol=EXACT)


def test_positions_of_a_half_precision_model_are_resized_in_float32() -> None:
    encoder = build(antialias=True)
    exact = encoder.float().positions(Grid(2, 2))
    assert torch.equal(
        encoder.bfloat16().float().positions(Grid(2, 2)).bfloat16(), encoder.bfloat16().positions(Grid(2, 2))
    )
    assert torch.allclose(encoder.bfloat16().positions(Grid(2, 2)).float(), exact, rtol=2**-6, atol=2**-6)


@pytest.mark.parametrize("registers", [0, 2])
@pytest.mark.parametrize("layer", [0, 1, 2, -1, -2, -3])
def test_a_selected_layer_is_that_block_s_output_without_the_last_norm(layer: int, registers: int) -> None:
    encoder = build(registers=registers)
    outputs: list[Tensor] = []
    for block in encoder.blocks:
        block.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    pixels = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    normed = encoder.forward_features(pixels)
    whole = outputs.copy()
    assert torch.equal(encoder.norm(whole[-1]), normed) and not torch.allclose(whole[-1], normed)
    selected = encoders.build(encoder.config.replace(select_layer=layer)).double()
    selected.load_state_dict(encoder.state_dict())
    assert torch.equal(selected(pixels).flatten(1, 2), whole[layer][:, 1 + registers :])
    assert encoder.idle_modules() == ()
    assert len(selected.idle_modules()) == 1 + 2 - layer % 3


def test_gradient_checkpointing_changes_no_gradient() -> None:
    plain = build(registers=1).train()
    saving = encoders.build(plain.config.replace(gradient_checkpointing=True)).double().train()
    saving.load_state_dict(plain.state_dict())
    pixels, runs = torch.randn(2, 3, 8, 12, dtype=torch.float64), 0

    def count(*_: object) -> None:
        nonlocal runs
        runs += 1

    saving.get_submodule("blocks.0").register_forward_pre_hook(count)
    for encoder in (plain, saving):
        encoder(pixels).square().sum().backward()
    assert runs == 2
    for (name, expected), (_, found) in zip(plain.named_parameters(), saving.named_parameters(), strict=True):
        assert expected.grad is not None and found.grad is not None, name
        assert torch.allclose(expected.grad, found.grad, rtol=0, atol=EXACT), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [Size(12, 12), Size(8, 16)])
@pytest.mark.parametrize("select_layer", [None, 0])
def test_declared_operations_are_the_counted_ones(kind: dict[str, Any], size: Size, select_layer: int | None) -> None:
    encoder = build(**kind, select_layer=select_layer)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        encoder(torch.zeros(1, 3, size.height, size.width, dtype=torch.float64))
    assert counter.get_total_flops() == encoder.config.forward_flops(size)


@pytest.mark.parametrize("kind", [*KINDS, {"mlp_ratio": 4.0}])
@pytest.mark.parametrize("size", [Size(64, 64), Size(32, 96)])
def test_declared_activations_are_those_that_are_alive(kind: dict[str, Any], size: Size) -> None:
    config = Dinov2Config(**(TINY | {"image_size": 64, "width": 64} | kind))
    encoder, pixels = encoders.build(config), torch.zeros(1, 3, size.height, size.width)
    with torch.no_grad(), LiveBytes() as live:
        encoder(pixels)
    assert config.activation_bytes(size, 4) == pytest.approx(live.peak, rel=0.02)


def test_an_encoder_built_without_memory_is_whole_once_its_weights_are_assigned() -> None:
    encoder = build(registers=2, antialias=True)
    with torch.device("meta"):
        empty = encoders.build(encoder.config)
    empty.load_state_dict(encoder.state_dict(), assign=True)
    pixels = torch.randn(1, 3, 8, 16, dtype=torch.float64)
    assert torch.equal(empty(pixels), encoder(pixels))


@pytest.mark.parametrize(("fields", "rule"), [
    ({"width": 30, "heads": 4}, "the heads divide the width"),
    ({"image_size": 520}, "whole patches of 14 pixels"),
    ({"image_size": (518, 13)}, "whole patches of 14 pixels"),
    ({"select_layer": 24}, "from -1 to -24"),
    ({"select_layer": -25}, "from -1 to -24"),
    ({"registers": -1}, "greater than"),
])  # fmt: skip
def test_fields_that_cannot_go_together_are_refused(fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        Dinov2Config(**fields)


@pytest.mark.parametrize(("fields", "parameters"), [
    ({}, 304_367_616),
    ({"registers": 4}, 304_371_712),
    ({"width": 384, "layers": 12, "heads": 6}, 22_056_192),
    ({"width": 1536, "layers": 40, "heads": 24, "mlp": "swiglu"}, 1_136_479_232),
])  # fmt: skip
def test_the_released_sizes_have_the_published_parameters(fields: dict[str, Any], parameters: int) -> None:
    config = Dinov2Config(**fields)
    assert config.grid_out(config.tile_size) == Grid(37, 37)
    assert config.pixel_mean == (0.485, 0.456, 0.406) and config.pixel_std == (0.229, 0.224, 0.225)
    with torch.device("meta"):
        assert sum(p.numel() for p in encoders.build(config).parameters()) == parameters
