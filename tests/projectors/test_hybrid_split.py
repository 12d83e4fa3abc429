"""Projectors for two towers: which channels go where, and which widths fit."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.projectors.drawn import widths
from tests.strategies import normal, seeds
from tests.tolerances import EXACT
from vlkit.errors import ConfigError
from vlkit.projectors import (
    HybridSplitFeatureMlpGeluConfig,
    LowHighHybridSplitMlpGeluConfig,
    LowHighSplitMlpGeluConfig,
    projectors,
)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(2, 9), st.floats(0.01, 0.99), seeds)
def test_each_tower_has_its_share_of_the_channels(high: int, low: int, out_dim: int, share: float, seed: int) -> None:
    config = HybridSplitFeatureMlpGeluConfig(high_width=high, channel_div=share, depth=1)
    shared_out = int(out_dim * share)
    if shared_out < 1:
        with pytest.raises(ConfigError, match="at least one channel"):
            config.check(in_dim=high + low, out_dim=out_dim)
        return
    projector = projectors.build(config, in_dim=high + low, out_dim=out_dim).double()
    x_NYXW = normal(seed, 1, 2, 3, high + low)

    def moved(changed: Tensor) -> list[int]:
        return (
            (projector(x_NYXW) - projector(changed))
            .abs()
            .gt(0)
            .any(dim=0)
            .flatten(0, 1)
            .any(dim=0)
            .nonzero()[:, 0]
            .tolist()
        )

    first, second = x_NYXW.clone(), x_NYXW.clone()
    first[..., :high] += 1
    second[..., high:] -= 1
    assert set(moved(first)) <= set(range(shared_out)) and moved(first)
    assert set(moved(second)) <= set(range(shared_out, out_dim)) and moved(second)


@given(st.integers(1, 3), st.booleans(), seeds)
def test_even_halves_are_the_uneven_split_of_equal_towers(depth: int, use_bias: bool, seed: int) -> None:
    halves = projectors.build(LowHighHybridSplitMlpGeluConfig(depth=depth, use_bias=use_bias), in_dim=6, out_dim=8)
    split = HybridSplitFeatureMlpGeluConfig(high_width=3, depth=depth, use_bias=use_bias)
    uneven = projectors.build(split, in_dim=6, out_dim=8)
    uneven.load_state_dict(halves.state_dict())
    x_NYXW = normal(seed, 2, 3, 2, 6).float()
    assert torch.equal(halves(x_NYXW), uneven(x_NYXW))


@given(seeds)
def test_separate_towers_never_meet(seed: int) -> None:
    projector = projectors.build(LowHighSplitMlpGeluConfig(depth=3), in_dim=6, out_dim=6).double()
    x_NYXW = normal(seed, 1, 2, 2, 6)
    changed = x_NYXW.clone()
    changed[..., :3] += 1
    assert torch.equal(projector(x_NYXW)[..., 3:], projector(changed)[..., 3:])
    assert not torch.allclose(projector(x_NYXW)[..., :3], projector(changed)[..., :3], rtol=0, atol=EXACT)


def test_separate_towers_without_layers_change_nothing() -> None:
    config = LowHighSplitMlpGeluConfig(depth=1)
    x_NYXW = normal(1, 2, 3, 4, 4)
    assert torch.equal(projectors.build(config, **widths(config))(x_NYXW), x_NYXW)


@pytest.mark.parametrize(
    ("config", "dims", "rule"),
    [
        (LowHighHybridSplitMlpGeluConfig(), (5, 8), "both widths are even"),
        (LowHighHybridSplitMlpGeluConfig(), (6, 7), "both widths are even"),
        (HybridSplitFeatureMlpGeluConfig(high_width=6), (6, 8), "at least one channel"),
        (HybridSplitFeatureMlpGeluConfig(high_width=9), (6, 8), "at least one channel"),
        (HybridSplitFeatureMlpGeluConfig(high_width=3, channel_div=0.1), (6, 8), "at least one channel"),
        (LowHighSplitMlpGeluConfig(), (6, 8), "equal and even"),
        (LowHighSplitMlpGeluConfig(), (7, 7), "equal and even"),
    ],
)
def test_widths_that_do_not_fit_are_refused(config: Any, dims: tuple[int, int], rule: str) -> None:
    with pytest.raises(ConfigError, match=rule) as raised:
        config.check(in_dim=dims[0], out_dim=dims[1])
    assert str(dims[0]) in raised.value.problem and str(dims[1]) in raised.value.problem
    with pytest.raises(ConfigError, match=rule):
        projectors.build(config, in_dim=dims[0], out_dim=dims[1])
