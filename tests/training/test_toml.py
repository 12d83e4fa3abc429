"""TOML: what is written is read back."""

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.training.runs import recipe
from vlkit.training import Recipe
from vlkit.training.toml import to_toml

texts = st.text(st.characters(codec="utf-8"), max_size=8)
plain = st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=True) | texts
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(texts, values, max_size=4))
def test_what_is_written_is_read_back(content: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(content)) == content


def test_none_is_left_out_everywhere() -> None:
    text = to_toml({"a": None, "b": {"c": None, "d": 1}, "e": [{"f": None, "g": 2}]})
    assert tomllib.loads(text) == {"b": {"d": 1}, "e": [{"g": 2}]}


def test_a_recipe_survives() -> None:
    given = recipe(parts={"decoder.lm_head": {"lr": 1e-5}}, accumulation=3)
    text = to_toml(given.model_dump(mode="json", exclude_none=True))
    assert Recipe.model_validate(tomllib.loads(text)) == given
