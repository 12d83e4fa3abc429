"""A quantized cache says what it takes, and is not quantized twice."""

import json

import pytest
import torch

import vlkit
from vlkit.cache import KVCache, QuantizedConfig, cache_policies
from vlkit.errors import ConfigError, ContextLengthError

SMALL = vlkit.presets["deepseek-vl2-small"].decoder.cached_vectors()


@pytest.mark.parametrize(
    ("fields", "per_token"),
    [
        ({}, 27 * 594),
        ({"dtype": "fp8"}, 27 * 594),
        ({"dtype": "int4"}, 27 * 306),
        ({"exact_channels": 64}, 27 * (512 + 16 + 128)),
        ({"dtype": "int4", "group_size": 32}, 27 * (288 + 36)),
    ],
)
def test_bytes_per_token_of_deepseek_vl2_small(fields: dict[str, object], per_token: int) -> None:
    assert QuantizedConfig(**fields).token_bytes(SMALL, 2) == per_token


def test_what_is_on_the_device_is_what_its_place_says_and_the_exact_positions() -> None:
    config = QuantizedConfig(residual=100, store={"type": "offload", "on_device": 3})
    per_layer, exact = 594, 100 * 27 * 1152
    assert config.cache_bytes(SMALL, 2, positions=612) == 512 * 27 * per_layer + exact
    assert config.device_bytes(SMALL, 2, positions=612, layers=27) == 512 * 3 * per_layer + exact
    assert config.scratch_bytes(SMALL, 2, positions=612, layers=27) == 612 * 1152
    assert config.cache_bytes(SMALL, 2, positions=40) == 40 * 27 * 1152


def test_a_config_goes_to_json_and_back_with_its_place() -> None:
    config = QuantizedConfig(dtype="int4", store={"type": "static", "capacity": 77})
    assert cache_policies.resolve(json.loads(config.model_dump_json())) == config
    assert config.most_positions == 77


def test_a_quantized_place_is_refused() -> None:
    with pytest.raises(ConfigError, match="what is rounded once is not rounded again"):
        QuantizedConfig(store="quantized")


@torch.no_grad()
def test_the_capacity_of_its_place_holds() -> None:
    layer = KVCache(1, {"type": "quantized", "store": {"type": "static", "capacity": 4}}).layers[0]
    layer.append(torch.ones(1, 3, 8))
    with pytest.raises(ContextLengthError, match="5 positions in a static cache"):
        layer.append(torch.ones(1, 2, 8))
    assert layer.append(torch.ones(1, 1, 8))[0].shape == (1, 4, 8)
