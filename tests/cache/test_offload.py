"""Layers come to the device and go again: no more at once than allowed, the next one beside the computation.

Device and host are the same here, but layers are copied as if they were not; a stand-in for the transfer counts.
"""

from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from tests.cache.kinds import ATTENTIONS, DIM, LAYERS, decoder, logits_of, moved
from vlkit.cache import KVCache, OffloadConfig
from vlkit.cache.host_store import HostStore
from vlkit.cache.store import in_blocks
from vlkit.cache.transfer import Fetched, Leaving, Transfer, transfer_to


def host_stores(cache: KVCache, index: int) -> list[HostStore]:
    return [store for store in cache.layers[index].stores if isinstance(store, HostStore)]


def device_bytes(cache: KVCache) -> int:
    return sum(store.device_nbytes for index in range(len(cache.layers)) for store in host_stores(cache, index))


def on_device(cache: KVCache) -> list[int]:
    return [i for i in range(len(cache.layers)) if any(store.device_nbytes for store in host_stores(cache, i))]


class Seen:
    """What is on the device whenever a layer computes, and after each pass."""

    def __init__(self, cache: KVCache) -> None:
        self.cache, self.layers, self.most, self.between = cache, list[list[int]](), 0, list[list[int]]()

    def run(self, x_BTD: Tensor, chunks: list[int]) -> None:
        model = decoder("grouped")
        handles = [layer.get_submodule("mlp").register_forward_pre_hook(self._look) for layer in model.layers]
        try:
            for chunk in x_BTD.split(chunks, dim=1):
                logits_of(model, chunk, [chunk.shape[1]], self.cache)
                self.between.append(on_device(self.cache))
        finally:
            for handle in handles:
                handle.remove()

    def _look(self, *_: object) -> None:
        self.layers.append(on_device(self.cache))
        self.most = max(self.most, device_bytes(self.cache))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@torch.no_grad()
def test_the_layer_that_computes_and_the_next_ones_are_on_the_device(size: int) -> None:
    with moved():
        seen = Seen(KVCache(LAYERS, {"type": "offload", "on_device": size}))
        seen.run(torch.randn(2, 6, DIM), [6])
        seen.layers.clear()
        seen.run(torch.randn(2, 2, DIM), [1, 1])
    assert seen.layers == [list(range(i, min(i + size, LAYERS))) for i in range(LAYERS)] * 2
    assert seen.between == [[], [], []]


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("quantized", [False, True])
@torch.no_grad()
def test_the_device_holds_no_more_than_the_budget_while_the_context_grows(size: int, quantized: bool) -> None:
    config: Any = OffloadConfig(on_device=size)
    config = {"type": "quantized", "group_size": 3, "store": config} if quantized else config
    vectors = decoder("grouped").config.cached_vectors()
    with moved():
        seen = Seen(KVCache(LAYERS, config))
        for _ in range(12):
            seen.run(torch.randn(1, 100, DIM), [99, 1])
            told = seen.cache.policy.config.device_bytes(vectors, 4, positions=seen.cache.length, layers=LAYERS)
            assert 0 < seen.most <= told
    assert seen.most == told
    assert told == seen.cache.nbytes * size // LAYERS


@torch.no_grad()
def test_an_error_leaves_no_more_on_the_device_than_a_pass_and_nothing_after_the_next() -> None:
    model, cache, x_BTD = decoder("grouped"), KVCache(LAYERS, "offload"), torch.randn(1, 9, DIM)
    with moved():
        logits_of(model, x_BTD[:, :5], [5], cache)
        handle = model.layers[0].get_submodule("mlp").register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            logits_of(model, x_BTD[:, 5:], [4], cache)
        handle.remove()
        assert on_device(cache) == [0, 1]
        seen = Seen(cache)
        seen.run(x_BTD[:, 5:], [4])
    assert seen.layers == [[0, 1], [1, 2], [2]]
    assert seen.between == [[]]


@torch.no_grad()
def test_the_whole_cache_is_on_the_device_in_a_pass_and_none_of_it_between_chunks() -> None:
    with moved():
        seen = Seen(KVCache(LAYERS, "chunk_offload"))
        seen.run(torch.randn(1, 9, DIM), [4, 5])
        assert seen.layers[LAYERS:] == [[0, 1, 2]] * LAYERS
        assert seen.between == [[], []]
        seen.run(torch.randn(1, 2, DIM), [1, 1])
        assert seen.between[2:] == [[0, 1, 2]] * 2
        assert seen.most == seen.cache.nbytes
        seen.run(torch.randn(1, 2, DIM), [2])
    assert seen.between[-1] == []


@pytest.mark.parametrize("policy", ["offload", "chunk_offload", "disk"])
@pytest.mark.parametrize("attention", ATTENTIONS)
@torch.no_grad()
def test_a_fetched_layer_has_room_for_what_arrives(policy: str, attention: str) -> None:
    """So that a pass appends to a copy and never makes another one."""
    made: list[int] = []

    class Counting(Transfer):
        """Notes the positions that copies have room for."""

        def fetch(self, tensors: Any) -> Fetched:
            made.append(tensors[0].shape[-2])
            return super().fetch(tensors)

    model, cache = decoder(attention), KVCache(LAYERS, policy)
    with patch("vlkit.cache.window.transfer_to", Counting):
        logits_of(model, torch.randn(1, 200, DIM), [200], cache)
        logits_of(model, torch.randn(1, 300, DIM), [300], cache)
        logits_of(model, torch.randn(1, 13, DIM), [12, 1], cache)
    assert made == [512] * LAYERS * 2 + [768] * LAYERS


@torch.no_grad()
def test_only_what_is_new_goes_to_the_host() -> None:
    sent: list[int] = []

    class Noting(Transfer):
        """Notes how many positions are sent."""

        def send(self, tensor: Tensor, place: Tensor) -> Leaving:
            sent.append(tensor.shape[-2])
            return super().send(tensor, place)

    cache = KVCache(LAYERS, "offload")
    with patch("vlkit.cache.window.transfer_to", Noting):
        logits_of(decoder("latent, absorbed"), torch.randn(1, 9, DIM), [5, 3, 1], cache)
    assert sent == [5] * LAYERS + [3] * LAYERS + [1] * LAYERS


@torch.no_grad()
def test_where_the_host_computes_nothing_is_copied() -> None:
    assert transfer_to(torch.device("cpu")) is None
    assert type(transfer_to(torch.device("meta"))) is Transfer
    for policy in ("offload", "chunk_offload"):
        seen = Seen(KVCache(LAYERS, policy))
        seen.run(torch.randn(1, 9, DIM), [8, 1])
        assert seen.most == 0
        for layer in seen.cache.layers:
            assert layer.tensors[0].data_ptr() == layer.stores[0].buffers[0].data_ptr()


@torch.no_grad()
def test_a_shared_beginning_comes_to_the_device_with_its_layer_and_goes_with_it() -> None:
    model, cache = decoder("grouped"), KVCache(LAYERS, "offload")
    x_BTD = torch.randn(1, 9, DIM)
    with moved():
        logits_of(model, x_BTD[:, :6], [6], cache)
        fork = cache.fork()
        expected = logits_of(model, x_BTD[:, 6:], [3], cache)
        seen = Seen(fork)
        seen.run(x_BTD[:, 6:], [2, 1])
    assert seen.layers[-LAYERS:] == [[0, 1], [1, 2], [2]]
    assert seen.most <= 2 * 2 * in_blocks(9) * 2 * 2 * 6 * 4
    assert seen.between == [[], []]
    fork.crop(6)
    assert torch.equal(logits_of(model, x_BTD[:, 6:], [3], fork), expected)
    assert on_device(cache) == []
