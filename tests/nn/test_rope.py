"""Laws of rotary positions, and their tables against the official ones (golden a7)."""

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from safetensors.torch import load_file

from tests.parity import GOLDEN
from tests.strategies import normal, seeds
from tests.tolerances import ROTARY_TABLES, ROTATED
from vlkit.errors import ConfigError
from vlkit.nn.rope import AnyRopeScaling, DynamicScaling, LinearScaling, Rope, YarnScaling, rotate

TABLES = json.loads((GOLDEN / "a7_rope" / "tables.json").read_text())
scalings = st.one_of(
    st.none(),
    st.builds(LinearScaling, factor=st.sampled_from([1.0, 2.5])),
    st.builds(DynamicScaling, factor=st.sampled_from([1.0, 3.0])),
    st.builds(YarnScaling, factor=st.sampled_from([1.0, 4.0]), original_max_position_embeddings=st.just(16)),
)


def rope(dim: int = 8, scaling: AnyRopeScaling | None = None, max_positions: int = 64, theta: float = 10000.0) -> Rope:
    return Rope(dim=dim, theta=theta, max_positions=max_positions, scaling=scaling)


def official(case: dict[str, Any]) -> Rope:
    """Tables of one golden case."""
    fields = {"factor" if name == "scaling_factor" else name: value for name, value in case["params"].items()}
    scaling = None
    if case["kind"] != "plain":
        scaling = TypeAdapter[AnyRopeScaling](AnyRopeScaling).validate_python({"type": case["kind"], **fields})
    return rope(case["dim"], scaling, case["max_position_embeddings"], case["base"])


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_the_official_ones(name: str) -> None:
    tables, case, longest = load_file(GOLDEN / "a7_rope" / "tables.safetensors"), TABLES[name], 0
    for call, length in enumerate(case["sequence_lengths"]):
        longest = max(longest, length)
        rotation = official(case)(torch.arange(length)[None], longest=longest)
        key = name if f"{name}.cos" in tables else f"{name}.call{call}"
        for found, part in ((rotation.cos, "cos"), (rotation.sin, "sin")):
            expected = tables[f"{key}.{part}"]
            torch.testing.assert_close(torch.cat([found[0]] * 2, dim=-1), expected, rtol=0, atol=ROTARY_TABLES)


@given(scalings, st.booleans(), st.integers(0, 200), st.integers(0, 200), st.integers(1, 200), seeds)
def test_products_depend_on_the_difference_of_positions_alone(
    scaling: AnyRopeScaling | None, interleaved: bool, first: int, second: int, shift: int, seed: int
) -> None:
    tables, (q, k) = rope(scaling=scaling), normal(seed, 2, 1, 1, 1, 8)

    def product(query: int, key: int) -> float:
        turned = [
            rotate(x, tables(torch.tensor([[at]]), longest=500), interleaved=interleaved)
            for x, at in ((q, query), (k, key))
        ]
        return float((turned[0] * turned[1]).sum())

    assert product(first, second) == pytest.approx(product(first + shift, second + shift), rel=0, abs=10 * ROTATED)


@given(st.booleans(), st.integers(0, 4000), seeds)
def test_rotation_keeps_the_length_and_position_zero_keeps_the_pairs(
    interleaved: bool, position: int, seed: int
) -> None:
    x_BTHK = normal(seed, 2, 1, 3, 8)
    turned = rotate(x_BTHK, rope()(torch.full((2, 1), position)), interleaved=interleaved)
    assert torch.allclose(turned.norm(dim=-1), x_BTHK.norm(dim=-1), rtol=0, atol=1e-5)
    halves = torch.cat([x_BTHK[..., 0::2], x_BTHK[..., 1::2]], dim=-1) if interleaved else x_BTHK
    assert torch.equal(rotate(x_BTHK, rope()(torch.zeros(2, 1).long()), interleaved=interleaved), halves)


@given(st.integers(0, 4000), seeds)
def test_neighbouring_pairs_turn_as_the_same_pairs_half_a_head_apart(position: int, seed: int) -> None:
    x_BTHK, rotation = normal(seed, 1, 1, 2, 8), rope()(torch.tensor([[position]]))
    halves = torch.cat([x_BTHK[..., 0::2], x_BTHK[..., 1::2]], dim=-1)
    assert torch.equal(rotate(x_BTHK, rotation, interleaved=True), rotate(halves, rotation, interleaved=False))


@given(st.integers(0, 50), seeds)
def test_each_pair_turns_by_position_over_a_power_of_theta(position: int, seed: int) -> None:
    x_BTHK = normal(seed, 1, 1, 1, 6)
    turned = rotate(x_BTHK, rope(dim=6, theta=50.0)(torch.tensor([[position]])), interleaved=False).flatten()
    for pair in range(3):
        angle, (a, b) = position / 50 ** (2 * pair / 6), x_BTHK.flatten()[pair::3].tolist()
        expected = (a * math.cos(angle) - b * math.sin(angle), b * math.cos(angle) + a * math.sin(angle))
        assert turned[pair::3].tolist() == pytest.approx(expected, rel=0, abs=1e-4)


@given(st.sampled_from([1.5, 4.0]), st.integers(0, 100))
def test_linear_scaling_divides_positions(factor: float, position: int) -> None:
    scaled = rope(scaling=LinearScaling(factor=factor))(torch.tensor([[position]]))
    angles = position / factor * rope().frequencies()
    assert torch.allclose(scaled.cos, angles.cos(), rtol=0, atol=1e-5)
    assert torch.allclose(scaled.sin, angles.sin(), rtol=0, atol=1e-5)


@given(st.integers(1, 64), st.sampled_from([2.0, 3.0]))
def test_dynamic_scaling_changes_nothing_within_the_trained_length(length: int, factor: float) -> None:
    positions = torch.arange(length)[None]
    scaled, plain = rope(scaling=DynamicScaling(factor=factor))(positions), rope()(positions)
    assert torch.allclose(scaled.cos, plain.cos, rtol=0, atol=1e-6)
    assert torch.allclose(scaled.sin, plain.sin, rtol=0, atol=1e-6)


@given(st.integers(65, 4000), st.sampled_from([1.0, 2.0, 3.0]))
def test_dynamic_scaling_grows_the_base_beyond_it(length: int, factor: float) -> None:
    tables = rope(scaling=DynamicScaling(factor=factor))
    base = 10000.0 * (factor * length / 64 - (factor - 1)) ** (8 / 6)
    expected = [base ** (-2 * pair / 8) for pair in range(4)]
    assert tables.frequencies(length).tolist() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(
        tables(torch.tensor([[length - 1]])).cos, tables(torch.tensor([[length - 1]]), longest=length).cos
    )


@given(st.sampled_from([2.0, 8.0]), st.sampled_from([64, 4096]))
def test_yarn_keeps_fast_pairs_and_interpolates_slow_ones(factor: float, trained: int) -> None:
    yarn = YarnScaling(factor=factor, original_max_position_embeddings=trained)
    found, plain = rope(dim=64, scaling=yarn).frequencies(), rope(dim=64).frequencies()
    turns = plain * trained / (2 * math.pi)
    assert torch.allclose(found[turns > 2 * yarn.beta_fast], plain[turns > 2 * yarn.beta_fast])
    assert torch.allclose(found[turns < yarn.beta_slow / 2], plain[turns < yarn.beta_slow / 2] / factor)
    assert (plain / factor <= found * (1 + 1e-6)).all() and (found <= plain * (1 + 1e-6)).all()


def test_yarn_scales_amplitude_and_softmax_by_its_two_factors() -> None:
    yarn = YarnScaling(factor=40, mscale=1.3, mscale_all_dim=0.7)
    numerator, denominator = 0.13 * math.log(40) + 1, 0.07 * math.log(40) + 1
    assert (yarn.amplitude, yarn.softmax_factor) == pytest.approx((numerator / denominator, denominator**2))
    assert rope(scaling=yarn)(torch.zeros(1, 1).long()).cos[0, 0, 0].item() == pytest.approx(yarn.amplitude)
    assert (YarnScaling(factor=1, mscale=3).amplitude, LinearScaling(factor=4).softmax_factor) == (1.0, 1.0)


def test_tables_are_float32_whatever_rotates_and_neighbours_stay_distinct_far_out() -> None:
    rotation = rope()(torch.arange(100_000, 100_002)[None])
    assert (rotation.cos.dtype, rotation.sin.dtype) == (torch.float32, torch.float32)
    assert (rotation.sin[0, 0, 0] - rotation.sin[0, 1, 0]).abs() > 0.1
    x_BTHK = torch.ones(1, 2, 1, 8, dtype=torch.bfloat16)
    turned = rotate(x_BTHK, rotation, interleaved=False)
    assert turned.dtype == torch.bfloat16
    assert torch.equal(turned, rotate(x_BTHK.float(), rotation, interleaved=False).to(torch.bfloat16))


def test_each_sample_and_position_has_its_own_angle() -> None:
    positions = torch.tensor([[3, 1, 4], [1, 5, 9]])
    whole = rope()(positions)
    for row in range(2):
        for col in range(3):
            assert torch.equal(whole.cos[row, col], rope()(positions[row : row + 1, col : col + 1]).cos[0, 0])


@pytest.mark.parametrize("factor", [0.5, 0.0, -1.0, math.nan])
def test_factors_below_one_are_refused(factor: float) -> None:
    for scaling in (LinearScaling, DynamicScaling, YarnScaling):
        with pytest.raises(ConfigError, match="factor"):
            scaling(factor=factor)
