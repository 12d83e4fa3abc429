"""A cache keeps its layers and the padding together, and can be forked without a copy."""

import weakref
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.cache.kinds import LOSSLESS, ROUNDED
from vlkit.cache import KVCache
from vlkit.errors import ShapeError


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


def test_an_empty_cache_is_no_position_and_no_byte() -> None:
    assert (KVCache(3).length, KVCache(3).nbytes, KVCache(0).length) == (0, 0, 0)


def test_length_is_that_of_the_shortest_layer_and_samples_those_of_the_batch() -> None:
    cache = KVCache(2)
    assert cache.samples == 0
    fill(cache, 3)
    cache.layers[1].append(torch.zeros(2, 2, 1))
    assert (cache.length, cache.samples) == (3, 2)
    assert cache.extend_mask(2, None, batch=2) is None
    assert (cache.arriving, [layer.length for layer in cache.layers]) == (2, [3, 3])


SHARING = {name: policy for name, policy in LOSSLESS.items() if name != "static"} | ROUNDED


@pytest.mark.parametrize("policy", SHARING.values(), ids=SHARING)
@torch.no_grad()
def test_many_questions_hold_one_document_in_one_place(policy: Any) -> None:
    """Bytes are counted once for each storage that any of the caches refers to."""
    questions = 8

    def held(*caches: KVCache) -> int:
        tensors = [t for c in caches for layer in c.layers for store in layer.stores for t in store.buffers]
        tensors += [tensor for c in caches for layer in c.layers for tensor in layer.kept()[1]]
        return sum({t.untyped_storage()._cdata: t.nbytes for t in tensors}.values())

    cache = KVCache(2, policy)
    for layer in cache.layers:
        layer.append(torch.randn(1, 3000, 16))
    alone = held(cache)
    forks = [cache.fork() for _ in range(questions)]
    assert held(cache, *forks) == alone
    batch = cache.fork(copies=questions)
    assert batch.samples == questions
    for fork in [*forks, batch]:
        for layer in fork.layers:
            layer.append(torch.randn(fork.samples, 5, 16))
    own = [fork.nbytes - fork.shared_nbytes for fork in [*forks, batch]]
    assert held(cache, *forks, batch) <= alone + sum(own)
    assert max(own[:-1]) < alone / 10
    assert own[-1] < questions * alone / 10
    assert all(fork.shared_nbytes == batch.shared_nbytes == cache.shared_nbytes > 0 for fork in forks)
    batch.reorder(torch.tensor([3, 3, 0]))
    assert (batch.samples, batch.shared_nbytes) == (3, cache.shared_nbytes)


@pytest.mark.parametrize("policy", LOSSLESS.values(), ids=LOSSLESS)
@torch.no_grad()
def test_what_forks_share_is_freed_with_the_last_of_them(policy: Any) -> None:
    cache = KVCache(1, policy)
    cache.layers[0].append(torch.randn(1, 4, 2))
    shared = weakref.ref(cache.layers[0].stores[0].buffers[0].untyped_storage())
    forks = [cache.fork(), cache.fork().fork(2)]
    del cache
    assert (shared() is None) == (policy == LOSSLESS["static"])
    while forks:
        forks.pop()
    assert shared() is None


@torch.no_grad()
def test_a_static_fork_has_buffers_of_its_own() -> None:
    cache = KVCache(1, {"type": "static", "capacity": 10})
    cache.layers[0].append(torch.ones(1, 4, 2))
    fork = cache.fork(2)
    fork.layers[0].append(torch.zeros(2, 6, 2))
    assert cache.shared_nbytes == fork.shared_nbytes == 0
    assert torch.equal(cache.layers[0].tensors[0], torch.ones(1, 4, 2))
    assert fork.layers[0].tensors[0].sum() == 2 * 4 * 2


def test_a_fork_takes_the_padding_along() -> None:
    cache = KVCache(1)
    cache.extend_mask(2, torch.tensor([[0, 1], [1, 1]]), batch=2)
    fill(cache, 2)
    fork = cache.fork(2)
    assert fork.mask_BS is not None
    assert fork.mask_BS.tolist() == [[False, True], [False, True], [True, True], [True, True]]
    cache.extend_mask(1, torch.tensor([[0], [0]]), batch=2)
    assert fork.mask_BS.shape == (4, 2)
    with pytest.raises(ShapeError, match="0 copies of each sample"):
        cache.fork(0)


def test_a_fork_of_an_empty_cache_is_an_empty_cache() -> None:
    fork = KVCache(2, "offload").fork(3)
    assert (fork.length, fork.samples, fork.nbytes) == (0, 0, 0)
    assert fork.policy.config.type == "offload"


def test_gradients_go_through_a_fork() -> None:
    cache, x = KVCache(1), torch.randn(1, 3, 2, requires_grad=True)
    cache.layers[0].append(x)
    found = cache.fork(2).layers[0].append(torch.zeros(2, 1, 2))[0]
    found.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.full((1, 3, 2), 2.0))
