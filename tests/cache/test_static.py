"""Buffers of a static cache are taken once, stay where they are, and hold no more than they have room for."""

from collections.abc import Callable

import pytest
import torch

import vlkit
from tests.cache.kinds import ATTENTIONS, DIM, LAYERS, decoder, logits_of
from vlkit.cache import KVCache, Static, StaticLayer
from vlkit.errors import ContextLengthError, InputError


def static_cache(capacity: int, layers: int = LAYERS) -> KVCache:
    return KVCache(layers, {"type": "static", "capacity": capacity})


def addresses(cache: KVCache) -> list[int]:
    return [buffer.data_ptr() for layer in static_layers(cache) for buffer in layer.buffers]


def static_layers(cache: KVCache) -> list[StaticLayer]:
    return [layer for layer in cache.layers if isinstance(layer, StaticLayer)]


@pytest.mark.parametrize("attention", ATTENTIONS)
@torch.no_grad()
def test_nothing_moves_whatever_happens_to_the_cache(attention: str) -> None:
    model, cache = decoder(attention), static_cache(300)
    assert addresses(cache) == []
    logits_of(model, torch.randn(2, 3, DIM), [3], cache)
    first, nbytes = addresses(cache), cache.nbytes
    logits_of(model, torch.randn(2, 280, DIM), [270, 10], cache)
    cache.reorder(torch.tensor([1, 0]))
    cache.crop(2)
    logits_of(model, torch.randn(2, 5, DIM), [4, 1], cache)
    cache.crop(0)
    logits_of(model, torch.randn(2, 300, DIM), [300], cache)
    assert addresses(cache) == first
    assert cache.nbytes == nbytes
    assert all(buffer.shape[-2] == 512 for layer in static_layers(cache) for buffer in layer.buffers)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_more_positions_than_the_capacity_are_refused_and_change_nothing(mode: Callable[[], torch.no_grad]) -> None:
    model, cache = decoder("grouped"), static_cache(5)
    with mode():
        logits_of(model, torch.randn(1, 3, DIM), [3], cache)
        rule = r"6 positions in a static cache[\s\S]*rule:   its capacity is 5[\s\S]*\"capacity\": 6"
        with pytest.raises(ContextLengthError, match=rule):
            logits_of(model, torch.randn(1, 3, DIM), [3], cache)
        assert [layer.length for layer in cache.layers] == [3] * LAYERS
        logits_of(model, torch.randn(1, 2, DIM), [2], cache)
    assert cache.length == 5


def test_a_model_says_so_before_it_answers() -> None:
    model, ids = vlkit.build("mini").eval(), torch.ones(1, 4, dtype=torch.long)
    static = {"type": "static", "capacity": 8}
    found = model.generate(input_ids=ids, max_new_tokens=5, eos_token_id=(), cache=static)
    assert torch.equal(found, model.generate(input_ids=ids, max_new_tokens=5, eos_token_id=()))
    with pytest.raises(ContextLengthError, match="9 positions in a static cache"):
        model.generate(input_ids=ids, max_new_tokens=6, eos_token_id=(), cache=static)
    for policy in (
        {"type": "static", "capacity": 3},
        {"type": "quantized", "store": {"type": "static", "capacity": 3}},
    ):
        cache = model.decoder.new_cache(policy)
        with pytest.raises(ContextLengthError, match="4 positions in a static cache"):
            model.incremental_prefilling(input_ids=ids, chunk_size=1, cache=cache)
        assert cache.length == 0


@torch.no_grad()
def test_a_compiled_step_writes_into_the_buffers_and_counts() -> None:
    cache, values = static_cache(10, layers=2), torch.randn(2, 2, 7, 3)
    policy = cache.policy
    assert isinstance(policy, Static)
    for layer, value in zip(cache.layers, values, strict=True):
        layer.append(value[:, :4])
    at = policy.length_tensor(cache)
    for position in range(4, 7):
        assert policy.length_tensor(cache).item() == position
        for layer, value in zip(static_layers(cache), values, strict=True):
            layer.buffers[0].index_copy_(-2, at[None], value[:, position : position + 1])
            layer.advance(1)
    assert policy.length_tensor(cache).data_ptr() == at.data_ptr()
    assert at.item() == cache.length == 7
    assert all(torch.equal(layer.tensors[0], value) for layer, value in zip(cache.layers, values, strict=True))
    with pytest.raises(ContextLengthError):
        static_layers(cache)[0].advance(4)
    cache.crop(5)
    assert policy.length_tensor(cache).item() == 5


def test_a_compiled_step_needs_filled_buffers() -> None:
    (layer,) = static_layers(static_cache(10, layers=1))
    with pytest.raises(InputError, match="before the positions are in the buffers"):
        layer.advance(1)
    layer.append(torch.randn(1, 2, 3))
    with pytest.raises(InputError, match="prefill under torch"):
        layer.advance(1)
    with torch.no_grad():
        layer.append(torch.randn(1, 1, 3))
    layer.advance(1)
    assert layer.length == 4
