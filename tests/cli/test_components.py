"""`vlkit components`: every registered part, plug-ins included, with its fields."""

import json
from typing import Annotated, Literal

import pytest
from pydantic import Field

from tests.cli.conftest import Run
from vlkit.cache import cache_policies
from vlkit.cli.components import KINDS
from vlkit.cli.fields import describe_config, type_name
from vlkit.config import Config
from vlkit.decoders import DeepseekV2Config
from vlkit.layouts import Layout1DConfig, layouts
from vlkit.layouts.base import Layout


class SpiralConfig(Layout1DConfig):
    """Tokens from the middle outwards."""

    type: Literal["spiral"] = "spiral"  # type: ignore[assignment]
    turns: int = Field(gt=0, le=9)
    """Number of turns."""


def test_all_kinds_and_presets_are_listed(run: Run) -> None:
    outcome = run("components", "--json")
    found = json.loads(outcome.out)
    assert tuple(found) == KINDS
    assert "downsample_mlp_gelu" in found["projectors"]
    assert found["cache_policies"].keys() == set(cache_policies) >= {"resident", "disk"}
    assert found["presets"]["mini"]["settings"]["candidate_resolutions"][0] == [56, 56]


def test_fields_have_type_limits_default_and_docstring(run: Run) -> None:
    found = json.loads(run("components", "layouts", "--json").out)
    assert found.keys() == {"layouts"}
    fields = {field["name"]: field for field in found["layouts"]["1D"]["fields"]}
    assert fields["global_view"]["type"] == "'head' | 'tail'"
    assert fields["global_view"]["default"] == "head"
    assert fields["max_tiles"]["limits"][0] == ">= 1"
    assert fields["max_tiles"]["about"].startswith("Most tiles that an image can have")
    assert "type" not in fields


def test_configs_inside_configs_are_listed_too() -> None:
    entry = describe_config(DeepseekV2Config)
    inner = {nested["config"].rpartition(".")[2] for nested in entry["nested"]}
    assert {"MHAConfig", "MLAConfig", "MoEConfig", "YarnScaling"} <= inner


def test_plug_ins_are_listed_in_the_table(run: Run) -> None:
    with layouts.scratch():
        layouts.register(SpiralConfig)(Layout)
        outcome = run("components", "layouts")
    text = " ".join(outcome.out.split())
    assert "'spiral'" in text
    assert "Tokens from the middle outwards." in text
    assert "turns int > 0 <= 9 (required) Number of turns." in text


def test_every_kind_has_a_table(run: Run) -> None:
    for kind in KINDS:
        outcome = run("components", kind)
        assert outcome.code == 0
        assert kind.replace("_", " ") in outcome.out


def test_unknown_kind_names_the_nearest(run: Run) -> None:
    outcome = run("components", "layout")
    assert outcome.code == 1
    assert "did you mean 'layouts'?" in outcome.shown


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (int | None, "int | None"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Annotated[float, Field(gt=0)], "float"),
        (list[tuple[int, str]], "list[tuple[int, str]]"),
        (Literal["a", 2], "'a' | 2"),
        (Config, "Config"),
    ],
)
def test_types_are_written_as_in_code(annotation: object, name: str) -> None:
    assert type_name(annotation) == name
