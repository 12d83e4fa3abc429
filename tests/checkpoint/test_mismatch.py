"""Laws of the nearest name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vlkit.checkpoint.mismatch import nearest

names = st.lists(st.sampled_from(["layers.1.up", "layers.2.up", "layers.1.down", "norm", "embed"]), min_size=1)


@given(options=names, data=st.data())
def test_a_name_is_nearest_to_itself(options: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(options))
    assert nearest(name, options) == name


@given(name=st.text(max_size=20), options=names)
def test_the_nearest_is_one_of_the_options(name: str, options: list[str]) -> None:
    assert nearest(name, options) in options


def test_without_options_there_is_no_nearest() -> None:
    assert nearest("norm", []) is None


def test_the_wording_counts_before_the_numbers() -> None:
    options = [f"layers.{i}.{part}.weight" for i in range(12) for part in ("gate_proj", "up_proj", "o_proj")]
    assert nearest("layers.11.gate_prj.weight", options) == "layers.11.gate_proj.weight"
    assert nearest("layers.40.up_proj.weight", options) in {f"layers.{i}.up_proj.weight" for i in range(12)}
