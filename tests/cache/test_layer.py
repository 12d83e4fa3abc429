"""A layer's cache is a concatenation that grows, shrinks, is reordered and forked, wherever and however it is kept."""

from itertools import permutations
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.cache.kinds import LOSSLESS, ROUNDED, moved
from tests.strategies import normal, seeds
from vlkit.cache import KVCache, LayerCache
from vlkit.cache.layer import Form
from vlkit.errors import ShapeError

MODES: dict[str, Any] = {"training": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}

appends = st.tuples(st.just("append"), st.sampled_from([1, 2, 3, 200, 256, 300]), st.sampled_from(sorted(MODES)))
crops = st.tuples(st.just("crop"), st.integers(0, 400), st.none())
reorders = st.tuples(st.just("reorder"), st.lists(st.integers(0, 1), min_size=1, max_size=3), st.none())
forks = st.tuples(st.just("fork"), st.integers(1, 2), st.booleans())
small_appends = st.tuples(st.just("append"), st.integers(1, 9), st.sampled_from(["no_grad", "inference"]))
small_crops = st.tuples(st.just("crop"), st.integers(0, 12), st.none())

Steps = list[tuple[str, Any, Any]]


def new_values(seed: int, samples: int, count: int) -> list[Tensor]:
    return [normal(seed, samples, 3, count, 2).float(), normal(seed + 1, samples, count, 1).float()]


@given(
    st.sampled_from(sorted(LOSSLESS)), st.booleans(), st.lists(appends | crops | reorders | forks, max_size=8), seeds
)
def test_append_crop_reorder_and_fork_are_what_concatenation_gives(
    policy: str, apart: bool, steps: Steps, seed: int
) -> None:
    config = dict(LOSSLESS[policy], capacity=4096) if policy == "static" else LOSSLESS[policy]
    with moved(apart):
        cache, expected = KVCache(1, config), [torch.zeros(2, 3, 0, 2), torch.zeros(2, 0, 1)]
        others: list[tuple[KVCache, list[Tensor]]] = []
        for number, (what, argument, how) in enumerate(steps):
            layer = cache.layers[0]
            if what == "append":
                with MODES[how]():
                    new = new_values(seed + number, len(expected[0]), argument)
                    cache.policy.before_layer(cache, 0)
                    returned = layer.append(*(tensor.requires_grad_(how == "training") for tensor in new))
                    expected = [torch.cat(pair, dim=-2) for pair in zip(expected, new, strict=True)]
                    assert all(torch.equal(a, b) for a, b in zip(returned, expected, strict=True))
                    cache.policy.after_layer(cache, 0)
            elif what == "crop":
                layer.crop(argument)
                expected = [tensor[..., :argument, :] for tensor in expected]
            elif what == "reorder":
                rows = torch.tensor(argument) % len(expected[0])
                layer.reorder(rows)
                expected = [tensor[rows] for tensor in expected]
            elif cache.length:
                fork, forked = cache.fork(argument), [t.repeat_interleave(argument, dim=0) for t in expected]
                others.append((cache, expected) if how else (fork, forked))
                cache, expected = (fork, forked) if how else (cache, expected)
            for held, wanted in [(cache, expected), *others]:
                assert held.length == wanted[0].shape[-2]
                found = held.layers[0].tensors
                assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=bool(held.length)))


@given(
    st.sampled_from(sorted(ROUNDED)), st.booleans(), st.lists(small_appends | small_crops | reorders, max_size=8), seeds
)
def test_what_is_rounded_depends_on_the_positions_alone(policy: str, apart: bool, steps: Steps, seed: int) -> None:
    """Positions that were exact for a while are rounded as the others were: what is kept of them is the same."""
    with moved(apart):
        cache = KVCache(1, ROUNDED[policy])
        codec, expected = cache.layers[0].codec, [torch.zeros(2, 3, 0, 6), torch.zeros(2, 0, 5)]
        for number, (what, argument, how) in enumerate(steps):
            layer = cache.layers[0]
            if what == "append":
                with MODES[how]():
                    new = [normal(seed + number, *t.shape[:-2], argument, t.shape[-1]).float() for t in expected]
                    cache.policy.before_layer(cache, 0)
                    layer.append(*new)
                    cache.policy.after_layer(cache, 0)
                expected = [torch.cat(pair, dim=-2) for pair in zip(expected, new, strict=True)]
            elif what == "crop":
                layer.crop(argument)
                expected = [tensor[..., :argument, :] for tensor in expected]
            else:
                rows = torch.tensor(argument) % len(expected[0])
                layer.reorder(rows)
                expected = [tensor[rows] for tensor in expected]
            assert cache.length == expected[0].shape[-2]
        if not cache.length:
            return
        kept, last = layer.kept()
        rounded = cache.length - (last[0].shape[-2] if last else 0)
        wanted = layer.encoded([tensor[..., :rounded, :] for tensor in expected]) if rounded else ()
        assert all(torch.equal(a, b) for a, b in zip(kept, wanted, strict=True))
        assert all(torch.equal(a, b[..., rounded:, :]) for a, b in zip(last, expected))
        decoded = codec.decode(kept, [6, 5]) if kept else [tensor[..., :0, :] for tensor in expected]
        read = [torch.cat([a, b[..., rounded:, :]], dim=-2) for a, b in zip(decoded, expected, strict=True)]
        assert all(torch.equal(a, b) for a, b in zip(layer.tensors, read, strict=True))


@given(st.integers(0, 600), st.sampled_from([torch.bfloat16, torch.float64]))
def test_memory_is_what_is_held_up_to_one_block_of_256_positions(length: int, dtype: torch.dtype) -> None:
    cache, per_position = LayerCache(), 2 * (3 * 5 + 7) * dtype.itemsize
    for _ in range(length // 100):
        with torch.no_grad():
            cache.append(torch.zeros(2, 3, 100, 5, dtype=dtype), torch.zeros(2, 100, 7, dtype=dtype))
    assert cache.nbytes == -(-cache.length // 256) * 256 * per_position


@pytest.mark.parametrize("policy", LOSSLESS)
def test_appending_to_a_block_moves_nothing(policy: str) -> None:
    layer = KVCache(1, LOSSLESS[policy]).layers[0]
    with torch.no_grad():
        first = layer.append(torch.ones(1, 4, 2))[0]
        second = layer.append(torch.ones(1, 1, 2))[0]
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


@pytest.mark.parametrize("policy", LOSSLESS)
@pytest.mark.parametrize("modes", list(permutations(MODES, 2)), ids="-then-".join)
def test_a_cache_goes_on_in_another_mode(modes: tuple[str, str], policy: str) -> None:
    layer, parts = KVCache(1, LOSSLESS[policy]).layers[0], []
    for mode in (*modes, modes[0]):
        with MODES[mode]():
            parts.append(torch.randn(1, 2, 3))
            found = layer.append(parts[-1])[0]
    assert torch.equal(found, torch.cat(parts, dim=1))


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize(
    "new",
    [torch.zeros(3, 2, 1, 4), torch.zeros(2, 1, 1, 4), torch.zeros(2, 2, 1, 5), torch.zeros(2, 2, 1, 4).double()],
    ids=["samples", "heads", "width", "dtype"],
)
def test_positions_of_another_form_are_refused_and_change_nothing(new: Tensor, recorded: bool) -> None:
    layer = LayerCache()
    with torch.set_grad_enabled(recorded):
        layer.append(torch.ones(2, 2, 3, 4))
        with pytest.raises(
            ShapeError, match=r"for a cache of \[\['torch.float32', 2, 2, 'T', 4\]\][\s\S]*cache.reorder"
        ):
            layer.append(new)
        assert torch.equal(layer.append(torch.ones(2, 2, 1, 4))[0], torch.ones(2, 2, 4, 4))


def test_an_emptied_cache_takes_another_form() -> None:
    layer = LayerCache()
    with torch.no_grad():
        layer.append(torch.ones(2, 2, 3, 4))
        layer.crop(0)
        assert layer.append(torch.zeros(1, 2, 5))[0].shape == (1, 2, 5)
    assert layer.forms == (Form((), 5, torch.float32),)
    assert layer.samples == 1


@pytest.mark.parametrize("exact", [0, 2])
def test_only_new_positions_are_rounded(exact: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = KVCache(1, {"type": "quantized", "residual": exact}).layers[0]
    encode, lengths = layer.codec.encode, list[int]()

    def noting(x: Tensor) -> tuple[Tensor, ...]:
        lengths.append(x.shape[-2])
        return encode(x)

    monkeypatch.setattr(layer.codec, "encode", noting)
    with torch.no_grad():
        for count in (7, 1, 3):
            layer.append(torch.randn(1, count, 6))
    assert lengths == [7 - exact, 1, 3]


@pytest.mark.parametrize("policy", ["quantized", {"type": "quantized", "residual": 8}])
def test_gradients_go_through_exact_positions_which_are_rounded_afterwards(policy: Any) -> None:
    layer, x = KVCache(1, policy).layers[0], torch.randn(1, 4, 6, requires_grad=True)
    layer.append(x)
    (layer.append(torch.randn(1, 1, 6))[0] ** 2).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, 2 * x.detach())
    with torch.no_grad():
        layer.append(torch.randn(1, 10, 6))
    assert layer.kept()[0][0].shape[-2] == 15 - policy.get("residual", 0) if isinstance(policy, dict) else 15
