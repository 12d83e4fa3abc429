"""Laws of masks and of multi-head and grouped-query attention."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.strategies import cuts, left_padded, normal, seeds
from tests.tolerances import BFLOAT16, EXACT, ROTATED
from vlkit.cache import LayerCache
from vlkit.nn.attention import (
    MHA,
    MHAConfig,
    attend,
    causal_mask,
    first_positions,
    packed_causal_mask,
    packed_positions,
    padded_causal_mask,
)
from vlkit.nn.rope import Rope, Rotation, rotate

DIM = 12


@st.composite
def layers(draw: st.DrawFn) -> MHA:
    """Layers with any division of heads into groups, in float64."""
    groups, per_group = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    config = MHAConfig(
        num_attention_heads=groups * per_group,
        num_key_value_heads=groups,
        head_dim=draw(st.sampled_from([2, 4])),
        attention_bias=draw(st.booleans()),
    )
    return MHA(config, dim=DIM).double()


def turn(layer: MHA, positions_BT: Tensor) -> Rotation:
    return Rope(dim=layer.head_width, theta=100.0, max_positions=64)(positions_BT)


def naive(layer: MHA, x_TD: Tensor) -> Tensor:
    """One sample, query by query and head by head, each seeing itself and what stands before it."""
    length, width = len(x_TD), layer.head_width
    rotation = turn(layer, torch.arange(length)[None])
    q, k, v = (project(x_TD).view(1, length, -1, width) for project in (layer.q_proj, layer.k_proj, layer.v_proj))
    q, k = (rotate(x, rotation, interleaved=False) for x in (q, k))
    shared, out = q.shape[2] // k.shape[2], torch.zeros(length, q.shape[2], width, dtype=x_TD.dtype)
    for t in range(length):
        for head in range(q.shape[2]):
            scores = torch.stack([q[0, t, head] @ k[0, s, head // shared] for s in range(t + 1)]) / width**0.5
            out[t, head] = scores.softmax(dim=0) @ v[0, : t + 1, head // shared]
    return layer.o_proj(out.flatten(1))


@given(layers(), st.integers(1, 6), seeds)
def test_attention_is_causal_softmax_over_rotated_keys(layer: MHA, length: int, seed: int) -> None:
    x_BTD = normal(seed, 2, length, DIM)
    found = layer(x_BTD, rotation=turn(layer, torch.arange(length).expand(2, -1)))
    assert torch.allclose(found, torch.stack([naive(layer, x_TD) for x_TD in x_BTD]), rtol=0, atol=EXACT)


@given(st.integers(1, 3), st.integers(1, 3), st.booleans(), st.integers(1, 5), seeds)
def test_grouped_heads_are_full_heads_with_repeated_keys_and_values(
    groups: int, per_group: int, bias: bool, length: int, seed: int
) -> None:
    heads = groups * per_group
    config = MHAConfig(num_attention_heads=heads, num_key_value_heads=groups, head_dim=4, attention_bias=bias)
    grouped = MHA(config, dim=DIM).double()
    full = MHA(config.replace(num_key_value_heads=None), dim=DIM).double()
    state = grouped.state_dict()
    for name in [name for name in state if name.startswith(("k_proj", "v_proj"))]:
        state[name] = state[name].unflatten(0, (groups, 4)).repeat_interleave(per_group, dim=0).flatten(0, 1)
    full.load_state_dict(state)
    x_BTD, rotation = normal(seed, 2, length, DIM), turn(grouped, torch.arange(length).expand(2, -1))
    expected = full(x_BTD, rotation=rotation)
    assert torch.allclose(grouped(x_BTD, rotation=rotation), expected, rtol=0, atol=EXACT)


@given(layers(), st.integers(1, 7).flatmap(cuts), st.booleans(), seeds)
def test_chunks_with_a_cache_are_the_whole_without(layer: MHA, chunks: list[int], recorded: bool, seed: int) -> None:
    length, cache = sum(chunks), LayerCache()
    x_BTD, positions = normal(seed, 2, length, DIM), torch.arange(length).expand(2, -1)
    whole = layer(x_BTD, rotation=turn(layer, positions))
    with torch.set_grad_enabled(recorded):
        parts = [
            layer(x, rotation=turn(layer, p), cache=cache)
            for x, p in zip(x_BTD.split(chunks, dim=1), positions.split(chunks, dim=1), strict=True)
        ]
    assert torch.allclose(torch.cat(parts, dim=1), whole, rtol=0, atol=EXACT)


@given(layers(), st.data(), seeds)
def test_left_padding_changes_nothing_for_the_rest(layer: MHA, data: st.DataObject, seed: int) -> None:
    length = data.draw(st.integers(1, 6))
    mask_BS = data.draw(left_padded(3, length))
    x_BTD, positions = normal(seed, 3, length, DIM), (mask_BS.cumsum(dim=1) - 1).clamp(min=0)
    batch = layer(x_BTD, rotation=turn(layer, positions), mask_BTS=padded_causal_mask(mask_BS, length))
    assert batch.isfinite().all()
    for x_TD, real_T, found in zip(x_BTD, mask_BS, batch, strict=True):
        assert torch.allclose(found[real_T], naive(layer, x_TD[real_T]), rtol=0, atol=EXACT)


@given(layers(), st.integers(1, 30), seeds)
def test_a_common_shift_of_positions_changes_nothing(layer: MHA, shift: int, seed: int) -> None:
    x_BTD, positions = normal(seed, 1, 5, DIM), torch.arange(5)[None]
    here, there = (layer(x_BTD, rotation=turn(layer, at)) for at in (positions, positions + shift))
    assert torch.allclose(here, there, rtol=0, atol=ROTATED)


def test_a_bfloat16_layer_keeps_far_positions_apart() -> None:
    layer = MHA(MHAConfig(num_attention_heads=2, head_dim=16), dim=DIM).to(torch.bfloat16)
    x_BTD, positions = torch.randn(1, 6, DIM).to(torch.bfloat16), torch.arange(6)[None]
    here, there = (layer(x_BTD, rotation=turn(layer, at)) for at in (positions, positions + 3001))
    assert torch.allclose(here.float(), there.float(), rtol=0, atol=BFLOAT16)
    alike = layer(x_BTD, rotation=turn(layer, torch.zeros_like(positions)))
    assert not torch.allclose(there.float(), alike.float(), rtol=0, atol=BFLOAT16)


@given(st.integers(1, 6), st.integers(0, 6))
def test_causal_mask_shows_what_stands_at_or_before_each_new_position(new: int, past: int) -> None:
    expected = [[s <= past + t for s in range(past + new)] for t in range(new)]
    assert causal_mask(new, past + new, device=torch.device("cpu")).tolist() == expected


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=3), st.integers(1, 6))
def test_padded_mask_hides_padding_from_all_but_itself(rows: list[list[bool]], new: int) -> None:
    past = 6 - new
    expected = [[[s <= past + t and (row[s] or s == past + t) for s in range(6)] for t in range(new)] for row in rows]
    assert padded_causal_mask(torch.tensor(rows), new).tolist() == expected


@given(st.integers(1, 5), st.integers(0, 4), seeds)
def test_no_mask_means_causal(new: int, past: int, seed: int) -> None:
    q, k, v = (normal(seed + i, 2, 3, length, 4) for i, length in enumerate((new, past + new, past + new)))
    mask = causal_mask(new, past + new, device=q.device)[None]
    free, masked = (attend(q, k, v, mask_BTS=m, scale=0.5) for m in (None, mask))
    assert torch.allclose(free, masked, rtol=0, atol=EXACT)


@pytest.mark.parametrize(("fields", "values"), [
    ({"num_attention_heads": 4}, 2 * 16),
    ({"num_attention_heads": 4, "num_key_value_heads": 2}, 2 * 8),
    ({"num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 6}, 2 * 6),
])  # fmt: skip
def test_cached_values_are_counted_as_cached(fields: dict[str, int], values: int) -> None:
    config, cache = MHAConfig(**fields), LayerCache()
    layer = MHA(config, dim=16)
    layer(torch.randn(1, 1, 16), rotation=turn(layer, torch.zeros(1, 1).long()), cache=cache)
    assert config.cached_values(16) == values == sum(tensor.numel() for tensor in cache.tensors)


packed_rows = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), min_size=1, max_size=3)


@given(packed_rows)
def test_samples_of_a_row_see_only_themselves_and_count_from_zero(rows: list[list[int]]) -> None:
    numbered = [[number for number, length in enumerate(row, start=1) for _ in range(length)] for row in rows]
    width = max(map(len, numbered))
    ids = [row + [0] * (width - len(row)) for row in numbered]
    expected = [[[s <= t and row[s] == row[t] for s in range(width)] for t in range(width)] for row in ids]
    begins = [[row.index(row[t]) for t in range(width)] for row in ids]
    sequence_ids = torch.tensor(ids)
    assert packed_causal_mask(sequence_ids).tolist() == expected
    assert packed_positions(sequence_ids).tolist() == [[t - begin for t, begin in enumerate(row)] for row in begins]
    assert first_positions(sequence_ids).tolist() == [[t == begin for t, begin in enumerate(row)] for row in begins]
