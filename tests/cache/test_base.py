"""A layer's cache is a concatenation that grows, shrinks and is reordered; a cache also knows the padding."""

from itertools import permutations
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.strategies import normal, seeds
from vlkit.cache import KVCache, LayerCache
from vlkit.errors import ConfigError, RegistryError, ShapeError

MODES: dict[str, Any] = {"training": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}

appends = st.tuples(st.just("append"), st.sampled_from([1, 2, 3, 200, 256, 300]), st.sampled_from(sorted(MODES)))
crops = st.tuples(st.just("crop"), st.integers(0, 400), st.none())
reorders = st.tuples(st.just("reorder"), st.lists(st.integers(0, 1), min_size=2, max_size=2), st.none())


@given(st.lists(st.one_of(appends, crops, reorders), max_size=8), seeds)
def test_append_crop_and_reorder_are_what_concatenation_gives(steps: list[tuple[str, Any, str]], seed: int) -> None:
    cache, expected = LayerCache(), [torch.zeros(2, 3, 0, 2), torch.zeros(2, 0, 1)]
    for number, (what, argument, mode) in enumerate(steps):
        if what == "append":
            with MODES[mode]():
                new = [normal(seed + number, *t.shape[:-2], argument, t.shape[-1]).float() for t in expected]
                returned = cache.append(*(tensor.requires_grad_(mode == "training") for tensor in new))
            expected = [torch.cat(pair, dim=-2) for pair in zip(expected, new, strict=True)]
            assert all(torch.equal(a, b) for a, b in zip(returned, expected, strict=True))
        elif what == "crop":
            cache.crop(argument)
            expected = [tensor[..., :argument, :] for tensor in expected]
        else:
            cache.reorder(torch.tensor(argument))
            expected = [tensor[argument] for tensor in expected]
        assert cache.length == expected[0].shape[-2]
        assert all(torch.equal(a, b) for a, b in zip(cache.tensors, expected, strict=bool(cache.length)))


@given(st.integers(0, 600), st.sampled_from([torch.bfloat16, torch.float64]))
def test_memory_is_what_is_held_up_to_one_block_of_256_positions(length: int, dtype: torch.dtype) -> None:
    cache, per_position = LayerCache(), 2 * (3 * 5 + 7) * dtype.itemsize
    for _ in range(length // 100):
        with torch.no_grad():
            cache.append(torch.zeros(2, 3, 100, 5, dtype=dtype), torch.zeros(2, 100, 7, dtype=dtype))
    assert cache.nbytes == -(-cache.length // 256) * 256 * per_position


def test_appending_to_a_block_moves_nothing() -> None:
    cache = LayerCache()
    with torch.no_grad():
        first = cache.append(torch.ones(1, 4, 2))[0]
        second = cache.append(torch.ones(1, 1, 2))[0]
    assert first.data_ptr() == second.data_ptr()


@pytest.mark.parametrize("shorten", [False, True])
@pytest.mark.parametrize("earlier", [0, 2])
def test_a_later_append_leaves_recorded_gradients_alone(earlier: int, shorten: bool) -> None:
    cache, query = LayerCache(), torch.randn(1, 1, 2, requires_grad=True)
    with torch.no_grad():
        cache.append(torch.randn(1, earlier, 2))
    keys = cache.append(torch.randn(1, 3, 2))[0]
    scores = query @ keys.mT
    if shorten:
        cache.crop(1)
        with torch.no_grad():
            cache.append(torch.randn(1, 1, 2))
    cache.append(torch.randn(1, 1, 2))
    scores.sum().backward()
    assert query.grad is not None
    torch.testing.assert_close(query.grad, keys.sum(dim=1, keepdim=True))


@pytest.mark.parametrize("modes", list(permutations(MODES, 2)), ids="-then-".join)
def test_a_cache_goes_on_in_another_mode(modes: tuple[str, str]) -> None:
    cache, parts = LayerCache(), []
    for mode in (*modes, modes[0]):
        with MODES[mode]():
            parts.append(torch.randn(1, 2, 3))
            found = cache.append(parts[-1])[0]
    assert torch.equal(found, torch.cat(parts, dim=1))


def test_a_crop_to_less_than_nothing_is_refused() -> None:
    cache = KVCache(1)
    cache.layers[0].append(torch.zeros(1, 3, 2))
    with pytest.raises(ShapeError, match="crop to -1 positions"):
        cache.crop(-1)
    assert cache.length == 3


def fill(cache: KVCache, new: int) -> None:
    """Let the layers see positions, as a decoder does."""
    for layer in cache.layers:
        layer.append(torch.zeros(2, new, 1))


@st.composite
def mask_calls(draw: st.DrawFn) -> list[tuple[int, str, Tensor]]:
    """Chunks with the mask of all positions so far, and how much of it the caller gives."""
    mask_BS = torch.zeros(2, 0, dtype=torch.bool)
    calls = []
    for _ in range(draw(st.integers(1, 4))):
        new, given_part = draw(st.integers(1, 3)), draw(st.sampled_from(["none", "new", "all"]))
        fresh = torch.ones(2, new, dtype=torch.bool)
        if given_part != "none":
            fresh = torch.tensor(draw(st.lists(st.booleans(), min_size=2 * new, max_size=2 * new))).view(2, new)
        mask_BS = torch.cat([mask_BS, fresh], dim=1)
        calls.append((new, given_part, mask_BS))
    return calls


@given(mask_calls(), st.sampled_from([torch.bool, torch.int64]))
def test_the_mask_of_all_positions_is_kept_whichever_part_is_given(
    calls: list[tuple[int, str, Tensor]], dtype: torch.dtype
) -> None:
    cache = KVCache(2)
    for new, given_part, mask_BS in calls:
        parts = {"none": None, "new": mask_BS[:, -new:].to(dtype), "all": mask_BS.to(dtype)}
        found = cache.extend_mask(new, parts[given_part], batch=2)
        assert mask_BS.all() if found is None else torch.equal(found, mask_BS)
        fill(cache, new)


def test_crop_and_reorder_keep_layers_and_mask_together() -> None:
    cache = KVCache(2)
    cache.extend_mask(4, torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1]]), batch=2)
    fill(cache, 4)
    cache.reorder(torch.tensor([1, 0, 1]))
    cache.crop(2)
    assert cache.mask_BS is not None and cache.mask_BS.tolist() == [[True, True], [False, True], [True, True]]
    assert [tuple(layer.tensors[0].shape) for layer in cache.layers] == [(3, 2, 1)] * 2
    found = cache.extend_mask(1, None, batch=3)
    assert found is not None and found.tolist() == [[True, True, True], [False, True, True], [True, True, True]]


def test_a_pass_that_failed_leaves_no_mask_behind() -> None:
    cache = KVCache(1)
    fill(cache, 2)
    cache.extend_mask(3, torch.zeros(2, 3), batch=2)
    found = cache.extend_mask(1, torch.tensor([[0], [1]]), batch=2)
    assert found is not None and found.tolist() == [[True, True, False], [True, True, True]]


@pytest.mark.parametrize("shape", [(2, 2), (2, 5), (3, 1), (1, 1), (2, 4, 1), (4,)])
def test_masks_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    cache = KVCache(1)
    fill(cache, 3)
    with pytest.raises(ShapeError, match=r"3 cached and 1 new.*\n.*\[2, 1\] or all of them \[2, 4\]"):
        cache.extend_mask(1, torch.ones(shape), batch=2)


def test_a_policy_is_a_tag_a_mapping_or_a_config() -> None:
    for policy in ("offload", {"type": "offload"}, KVCache(1, "offload").policy.config):
        assert KVCache(1, policy).policy.config.type == "offload"
    with pytest.raises(RegistryError, match="did you mean 'resident'"):
        KVCache(1, "residnt")
    with pytest.raises(ConfigError, match="no field"):
        KVCache(1, {"type": "resident", "blocks": 2})


def test_an_empty_cache_is_no_position_and_no_byte() -> None:
    assert (KVCache(3).length, KVCache(3).nbytes, KVCache(0).length) == (0, 0, 0)
