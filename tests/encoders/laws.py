"""What holds of every vision encoder."""

from __future__ import annotations

from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.description.live_bytes import LiveBytes
from tests.strategies import normal
from tests.tolerances import EXACT
from vlkit.encoders import Encoder, EncoderConfig, encoders
from vlkit.errors import ConfigError, ShapeError
from vlkit.notation import Size

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def drawn(module: ModuleT, seed: int = 0) -> ModuleT:
    """The module in float64, with every parameter drawn at random."""
    module = module.double().eval()
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter.copy_(0.5 * normal(seed + number, *parameter.shape))
    return module


def tiles_of(size: Size, *, seed: int = 0, tiles: int = 1) -> Tensor:
    """Random pixels of tiles of this size."""
    return normal(seed, tiles, 3, size.height, size.width)


def declared_grid_is_the_real_one(encoder: Encoder, size: Size, *, tiles: int = 1) -> None:
    """Or the size is refused, by the config as by the encoder."""
    pixels = tiles_of(size, tiles=tiles)
    try:
        encoder.config.check_size(size)
    except ConfigError as error:
        assert error.rule is not None
        with pytest.raises(ShapeError, match=error.rule):
            encoder(pixels)
    else:
        assert encoder(pixels).shape == (tiles, *encoder.grid_out(size), encoder.feature_dim)


def tiles_do_not_depend_on_each_other(encoder: Encoder, size: Size, seed: int) -> None:
    pixels = tiles_of(size, seed=seed, tiles=3)
    alone = torch.cat([encoder(tile) for tile in pixels.split(1)])
    assert torch.allclose(encoder(pixels), alone, rtol=0, atol=EXACT)


def declared_operations_are_the_counted_ones(encoder: Encoder, size: Size) -> None:
    """Unfused attention, since its CPU kernel is unknown to the counter."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        encoder(tiles_of(size, tiles=2))
    assert counter.get_total_flops() == 2 * encoder.config.forward_flops(size) > 0


def estimated_bytes_are_about_the_held_ones(config: EncoderConfig, size: Size, dtype: torch.dtype) -> None:
    """Within 10 %: tensors that live only inside a kernel are not seen."""
    encoder, pixels = encoders.build(config).to(dtype), tiles_of(size, tiles=2).to(dtype)
    with torch.no_grad(), LiveBytes() as live:
        encoder(pixels)
    assert 2 * config.activation_bytes(size, dtype.itemsize) == pytest.approx(live.peak, rel=0.1)


def gradients_reach_all_but_idle_parameters(encoder: Encoder, size: Size) -> None:
    idle = {id(parameter) for module in encoder.idle_modules() for parameter in module.parameters()}
    encoder(tiles_of(size)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.any())
        assert reached == (id(parameter) not in idle), name


def saving_memory_changes_no_gradient(plain: Encoder, saving: Encoder, block: str, size: Size) -> None:
    """And the block with this name runs a second time, in the backward pass."""
    saving.load_state_dict(plain.state_dict())
    pixels, runs = tiles_of(size), 0

    def count(*_: object) -> None:
        nonlocal runs
        runs += 1

    saving.get_submodule(block).register_forward_pre_hook(count)
    for encoder in (plain.train(), saving.train()):
        encoder(pixels).square().mean().backward()
    assert runs == 2
    for (name, expected), (_, found) in zip(plain.named_parameters(), saving.named_parameters(), strict=True):
        if expected.grad is None or found.grad is None:
            assert expected.grad is found.grad, name
        else:
            assert torch.allclose(expected.grad, found.grad, rtol=EXACT, atol=EXACT), name


def parameters_on_meta(config: EncoderConfig) -> int:
    """Number of parameters of an encoder built without memory, which has to run there too."""
    with torch.device("meta"):
        encoder = encoders.build(config)
        out = encoder(torch.empty(1, 3, config.tile_size.height, config.tile_size.width))
    assert out.shape == (1, *config.grid_out(config.tile_size), config.feature_dim)
    assert not list(encoder.buffers())
    return count(encoder)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
