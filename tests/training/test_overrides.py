"""Single settings on top of a recipe."""

from typing import Any

import pytest

from vlkit.errors import ConfigError
from vlkit.training import Recipe, with_overrides
from vlkit.training.overrides import parse_value, with_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1e-3", 1e-3),
        ("true", True),
        ("mini", "mini"),
        ('"7"', "7"),
        ("[1, 2]", [1, 2]),
        ("{a = 1}", {"a": 1}),
    ],
)
def test_values_are_toml_or_texts(text: str, value: Any) -> None:
    assert parse_value(text) == value


def test_tables_are_made_and_the_content_stays_as_it_is() -> None:
    content = {"steps": 3, "optimizer": {"lr": 1.0}}
    changed = with_overrides(content, ["optimizer.lr = 1e-4", "schedule.type=linear", "steps=5"])
    assert changed == {"steps": 5, "optimizer": {"lr": 1e-4}, "schedule": {"type": "linear"}}
    assert content == {"steps": 3, "optimizer": {"lr": 1.0}}


def test_a_preset_becomes_a_table_and_a_tag_too() -> None:
    settings = ["model.layout=1D", "model.layout.global_view=tail", "model.decoder.num_hidden_layers=1"]
    changed = Recipe.model_validate(with_overrides({"model": "mini", "steps": 1}, settings))
    from vlkit.models.auto import resolve_config

    assert isinstance(changed.model, dict)
    config = resolve_config(changed.model)
    mini = resolve_config("mini")
    assert (config.layout.type, config.layout.global_view) == ("1D", "tail")  # type: ignore[attr-defined]
    assert config.decoder == mini.decoder.replace(num_hidden_layers=1)
    assert config.encoder == mini.encoder


@pytest.mark.parametrize(
    ("setting", "problem"),
    [("steps", "key=value"), ("=3", "key=value"), ("a..b=3", "key=value"), ("steps.more=1", "steps is 3")],
)
def test_what_is_no_setting_is_refused(setting: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        with_overrides({"steps": 3}, [setting])


def test_a_value_that_is_no_text_is_set_at_a_path() -> None:
    changed = with_value({"steps": 3, "model": "mini"}, "model.layout", {"type": "1D", "max_tiles": 2})
    assert changed["model"]["layout"] == {"type": "1D", "max_tiles": 2}
    with pytest.raises(ConfigError, match="steps is 3"):
        with_value(changed, "steps.more", 1)
