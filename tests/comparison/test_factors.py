"""What is varied: names, values, and which of them meet."""

from typing import Any

import pytest

from tests.training.runs import recipe
from vlkit.comparison.factors import assignments, parse_factor, resolve_factors, value_text
from vlkit.errors import ConfigError
from vlkit.layouts import Layout1DConfig


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("layout=2D,1D", "layout", ["2D", "1D"]),
        ("lr = 1e-3, 3e-3", "lr", [1e-3, 3e-3]),
        ("encoder.layers=2,4", "encoder.layers", [2, 4]),
        ('projector=linear,{type="mlp_gelu", depth=1}', "projector", ["linear", {"type": "mlp_gelu", "depth": 1}]),
        ("betas=[0.9, 0.95],[0.9, 0.99]", "betas", [[0.9, 0.95], [0.9, 0.99]]),
        ('x="a,b",c', "x", ["a,b", "c"]),
        ("use_bias=true,false", "use_bias", [True, False]),
    ],
)
def test_values_stand_between_commas(text: str, name: str, values: list[Any]) -> None:
    assert parse_factor(text) == (name, values)


@pytest.mark.parametrize("text", ["layout", "layout=", "=2D", "layout=2D,,1D", "layout=2D,"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="nothing to vary"):
        parse_factor(text)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("layout", "model.layout"),
        ("projector", "model.projector"),
        ("lr", "optimizer.lr"),
        ("warmup", "schedule.warmup"),
        ("batch_size", "batching.batch_size"),
        ("steps", "steps"),
        ("schedule.type", "schedule.type"),
        ("encoder.layers", "model.encoder.layers"),
        ("layers", "model.encoder.layers"),
        ("layout.global_view", "model.layout.global_view"),
        ("model.layout", "model.layout"),
        ("attention.kv_lora_rank", "model.decoder.attention.kv_lora_rank"),
        ("encoder.lr", "parts.encoder.lr"),
        ("parts.encoder.train", "parts.encoder.train"),
        ("encoder.lora.rank", "parts.encoder.lora.rank"),
        ("candidate_resolutions", "model.candidate_resolutions"),
    ],
)
def test_the_shortest_clear_name_will_do(name: str, path: str) -> None:
    (factor,) = resolve_factors(recipe(), {name: [1, 2]})
    assert factor.path == path


def test_fields_of_a_part_that_is_varied_are_known_too() -> None:
    layout, tiles = resolve_factors(recipe(), {"layout": ["2D", "1D"], "max_tiles": [3, 5]})
    assert (layout.path, tiles.path) == ("model.layout", "model.layout.max_tiles")


@pytest.mark.parametrize(
    ("vary", "problem"),
    [
        ({}, "nothing is varied"),
        ({"layuot": ["1D"]}, "did you mean 'layout'?"),
        ({"encoder.layer": [1]}, "did you mean 'encoder.layers'?"),
        ({"lerning_rate": [1]}, "no field of the recipe or its model is called 'lerning_rate'"),
        ({"global_view": ["head"], "layout.global_view": ["tail"]}, "both mean model.layout.global_view"),
        ({"weight_decya": [1]}, "did you mean 'weight_decay'?"),
        ({"train": [True]}, "is the name of 4 fields"),
        ({"seed": [1, 2]}, "same seeds"),
        ({"log_every": [1, 2]}, "varied"),
        ({"lr": [1e-3, 0.001]}, "takes a value twice"),
        ({"lr": []}, "over 0 values"),
        ({"lr": 1e-3}, "a list of values"),
        ({"layout": "1D"}, "a list of values"),
    ],
)
def test_what_cannot_be_meant_is_refused(vary: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem.replace("?", r"\?")):
        resolve_factors(recipe(), vary)


def test_texts_of_values_are_short() -> None:
    values = [0.001, True, "1D", {"type": "mlp_gelu", "depth": 2}, {"type": "linear"}, [1, 0.5], None]
    assert [*map(value_text, values)] == ["0.001", "true", "1D", "mlp_gelu(depth=2)", "linear", "[1, 0.5]", "null"]
    (factor,) = resolve_factors(recipe(), {"layout": [Layout1DConfig(max_tiles=3)]})
    assert factor.texts == ("1D(max_tiles=3)",)


def test_a_grid_has_all_pairs_and_one_at_a_time_one_change_each() -> None:
    factors = resolve_factors(recipe(), {"layout": ["2D", "1D"], "lr": [1, 2, 3]})
    assert assignments(factors, grid=True) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert assignments(factors, grid=False) == [(0, 0), (1, 0), (0, 1), (0, 2)]
