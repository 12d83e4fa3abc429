"""The resampler against Idefics2's connector in transformers, and what its queries are."""

from typing import Any

import pytest
import torch
from hypothesis import given
from torch import nn
from transformers import Idefics2Config
from transformers.models.idefics2.modeling_idefics2 import Idefics2Connector

from tests.projectors.oracles import drawn
from tests.strategies import grids, normal, seeds
from tests.tolerances import EXACT, FLOAT32_NORM
from vlkit.checkpoint.keymap import KeyMap
from vlkit.checkpoint.rules import Rule
from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.projectors import Resampler, ResamplerConfig, projectors

IDEFICS2 = KeyMap([Rule("connector.{rest}", "{rest}")])
SMALL: dict[str, Any] = {"depth": 2, "heads": 4, "kv_heads": 2, "head_width": 3, "input_width": 7}


def resampler(**fields: Any) -> Resampler:
    """Small resampler from width 6 to 8, in float64, with every parameter drawn at random."""
    built = drawn(projectors.build(ResamplerConfig(**(SMALL | fields)), in_dim=6, out_dim=8))
    assert isinstance(built, Resampler)
    return built


def oracle(*, queries: int, heads: int, kv_heads: int) -> Any:
    """Idefics2's connector of the same size."""
    perceiver = {
        "hidden_size": 8,
        "resampler_n_latents": queries,
        "resampler_depth": 2,
        "resampler_n_heads": heads,
        "resampler_head_dim": 3,
        "num_key_value_heads": kv_heads,
        "rms_norm_eps": 1e-5,
    }
    config = Idefics2Config(
        perceiver_config=perceiver,
        vision_config={"hidden_size": 6, "num_attention_heads": 2},
        text_config={"model_type": "mistral", "hidden_size": 8, "intermediate_size": 7},
    )
    return drawn(Idefics2Connector(config))


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize("grid", [Grid(1, 1), Grid(2, 5), Grid(4, 3)])
def test_idefics2_reads_the_same_from_any_grid(grid: Grid, heads: int, kv_heads: int) -> None:
    connector = oracle(queries=6, heads=heads, kv_heads=kv_heads)
    projector = resampler(queries=(3, 2), heads=heads, kv_heads=kv_heads)
    official = {f"connector.{name}": tensor for name, tensor in connector.state_dict().items()}
    projector.load_state_dict(IDEFICS2.from_theirs(official))
    x_NYXW = normal(1, 2, *grid, 6)
    expected = connector(x_NYXW.flatten(1, 2), torch.ones(2, grid.area, dtype=torch.long))
    assert projector(x_NYXW).shape == (2, 3, 2, 8)
    torch.testing.assert_close(projector(x_NYXW).flatten(1, 2), expected, rtol=0, atol=FLOAT32_NORM)


def test_the_defaults_are_idefics2_s() -> None:
    with torch.device("meta"):
        projector = projectors.build(ResamplerConfig(), in_dim=1152, out_dim=4096)
        connector = Idefics2Connector(Idefics2Config(vision_config={"hidden_size": 1152, "num_attention_heads": 16}))
    official = {f"connector.{name}": tuple(tensor.shape) for name, tensor in connector.state_dict().items()}
    ours = {name: tuple(tensor.shape) for name, tensor in projector.state_dict().items()}
    assert IDEFICS2.our_names(official) == ours
    assert projector.grid_out(Grid(27, 27)) == Grid(1, 64)


@given(grids(4), seeds)
def test_the_grid_s_features_are_read_as_a_set(grid: Grid, seed: int) -> None:
    projector, x_NYXW = resampler(queries=3), normal(seed, 1, *grid, 6)
    order = torch.randperm(grid.area, generator=torch.Generator().manual_seed(seed))
    shuffled = x_NYXW.flatten(1, 2)[:, order].unflatten(1, grid)
    assert torch.allclose(projector(x_NYXW), projector(shuffled), rtol=0, atol=EXACT)
    assert torch.allclose(projector(x_NYXW), projector(x_NYXW.transpose(1, 2)), rtol=0, atol=EXACT)


def test_a_number_of_queries_is_one_row_of_them() -> None:
    row, block = resampler(queries=6), resampler(queries=(2, 3))
    block.load_state_dict(row.state_dict())
    x_NYXW = normal(3, 2, 2, 2, 6)
    assert (row.grid_out(Grid(2, 2)), block.grid_out(Grid(2, 2))) == (Grid(1, 6), Grid(2, 3))
    assert torch.equal(row(x_NYXW).flatten(1, 2), block(x_NYXW).flatten(1, 2))


def test_without_an_input_width_one_layer_leads_to_the_decoder() -> None:
    projector = resampler(input_width=None, use_bias=True)
    assert isinstance(projector.modality_projection, nn.Linear)
    assert (projector.modality_projection.in_features, projector.modality_projection.out_features) == (6, 8)
    first = projector.perceiver_resampler.layers[0]
    assert all(layer.bias is not None for layer in first.modules() if isinstance(layer, nn.Linear))


def test_new_queries_differ_from_each_other() -> None:
    projector = projectors.build(ResamplerConfig(queries=5, **SMALL), in_dim=6, out_dim=8)
    tokens = projector(torch.ones(1, 2, 2, 6))[0, 0]
    assert torch.cdist(tokens, tokens)[~torch.eye(5, dtype=torch.bool)].min() > 1e-3


def test_key_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigError, match="4 heads with kv_heads 3"):
        ResamplerConfig(heads=4, kv_heads=3)
