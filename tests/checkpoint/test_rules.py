"""Laws of single rules: names and shapes go there and back; malformed rules are refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlkit.checkpoint.rules import Op, Pattern, Rule, Same, Squeeze, Stack, Unsqueeze
from vlkit.errors import ConfigError

numbers = st.integers(0, 999).map(str)
dotted = st.lists(st.from_regex(r"[a-z_][a-z_0-9]*", fullmatch=True), min_size=1, max_size=3).map(".".join)


@given(layer=numbers, expert=numbers, rest=dotted)
def test_matching_undoes_filling(layer: str, expert: str, rest: str) -> None:
    pattern = Pattern("model.layers.{layer}.experts.{expert}.{rest}")
    fields = {"layer": layer, "expert": expert, "rest": rest}
    assert pattern.match(pattern.fill(fields)) == fields


@pytest.mark.parametrize("name", ["layers.03.w", "layers.-1.w", "layers.x.w", "layers..w", "layers.1.w.", "layersx1.w"])
def test_a_number_has_one_spelling_and_dots_are_dots(name: str) -> None:
    assert Pattern("layers.{layer}.w").match(name) is None


@given(
    op=st.sampled_from([Same(), Unsqueeze(), Squeeze(), Stack("expert")]),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    stacked=st.integers(1, 3),
    parts=st.integers(1, 3),
    data=st.data(),
)
def test_shapes_go_there_and_back_and_the_index_gives_the_official_shape(
    op: Op, shape: tuple[int, ...], stacked: int, parts: int, data: st.DataObject
) -> None:
    if isinstance(op, Squeeze):
        shape, parts = (1, *shape), 1
    field = ".{expert}" if isinstance(op, Stack) else ""
    rule = Rule(f"theirs{field}", "ours", op, (data.draw(st.integers(0, parts - 1)), parts))
    ours = rule.ours_shape(shape, stacked)
    assert ours is not None
    assert rule.theirs_shape(ours) == shape
    assert torch.empty(ours)[rule.index({"expert": str(stacked - 1)}, shape)].shape == shape


@pytest.mark.parametrize(
    ("rule", "ours"),
    [
        (Rule("a", "b", Unsqueeze()), (2, 3)),
        (Rule("a.{e}", "b", Stack("e")), ()),
        (Rule("a.{e}", "b", Stack("e")), (0, 3)),
        (Rule("a", "b", part=(0, 2)), (3, 4)),
        (Rule("a", "b", part=(0, 2)), ()),
    ],
)
def test_a_rule_that_cannot_hold_for_our_shape_gives_none(rule: Rule, ours: tuple[int, ...]) -> None:
    assert rule.theirs_shape(ours) is None


def test_a_rule_that_cannot_hold_for_the_official_shape_gives_none() -> None:
    assert Rule("a", "b", Squeeze()).ours_shape((2, 3), 0) is None
    assert Rule("a", "b", part=(0, 2)).ours_shape((), 0) is None


@pytest.mark.parametrize(
    ("theirs", "ours", "op", "part"),
    [
        ("a.{layer}", "b", Same(), (0, 1)),
        ("a", "b.{layer}", Same(), (0, 1)),
        ("a.{expert}", "b.{expert}", Stack("expert"), (0, 1)),
        ("a.{layer}", "b.{layer}", Stack("expert"), (0, 1)),
        ("a.{x}.{x}", "b.{x}", Same(), (0, 1)),
        ("a.{}", "b", Same(), (0, 1)),
        ("a.{x", "b", Same(), (0, 1)),
        ("a", "b", Same(), (2, 2)),
        ("a", "b", Same(), (-1, 2)),
        ("a", "b", Squeeze(), (0, 2)),
    ],
)
def test_malformed_rules_are_refused(theirs: str, ours: str, op: Op, part: tuple[int, int]) -> None:
    with pytest.raises(ConfigError):
        Rule(theirs, ours, op, part)
