"""Every lossless policy gives the same numbers, bit for bit; a policy is told before and after every layer."""

import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import vlkit
from tests.cache.kinds import ATTENTIONS, DIM, LAYERS, LOSSLESS, ROUNDED, decoder, logits_of, moved
from tests.strategies import normal, seeds
from tests.tolerances import EXACT, FLOAT32_SUMS
from vlkit.cache import CachePolicy, CachePolicyConfig, KVCache, LayerCache, cache_policies
from vlkit.decoders import DeepseekV2, decoders
from vlkit.errors import ConfigError, RegistryError


@st.composite
def runs(draw: st.DrawFn) -> tuple[Tensor, list[int], Tensor | None]:
    """Embeddings of a batch, chunks that they come in, and padding on the left."""
    batch, chunks = draw(st.integers(1, 3)), draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    pads = torch.tensor(draw(st.lists(st.integers(0, chunks[0] - 1), min_size=batch, max_size=batch)))
    mask = torch.arange(sum(chunks)) >= pads[:, None]
    return normal(draw(seeds), batch, sum(chunks), DIM).float(), chunks, draw(st.sampled_from([None, mask]))


@given(st.sampled_from(sorted(LOSSLESS)), st.sampled_from(sorted(ATTENTIONS)), runs(), st.booleans(), st.booleans())
def test_every_lossless_policy_gives_the_resident_logits_bit_for_bit(
    policy: str, attention: str, run: tuple[Tensor, list[int], Tensor | None], recorded: bool, apart: bool
) -> None:
    (x_BTD, chunks, mask_BT), model = run, decoder(attention)
    with torch.set_grad_enabled(recorded), moved(apart):
        caches = [model.new_cache(LOSSLESS[policy]), model.new_cache("resident")]
        found, expected = (logits_of(model, x_BTD, chunks, cache, mask_BT) for cache in caches)
    assert torch.equal(found, expected)
    assert found.requires_grad == recorded


@given(
    st.sampled_from(sorted(LOSSLESS)),
    st.sampled_from(sorted(ATTENTIONS)),
    st.lists(st.sampled_from(["reorder", "crop", "fork"]), min_size=1, max_size=4),
    seeds,
    st.booleans(),
    st.data(),
)
@torch.no_grad()
def test_a_cache_that_was_reordered_cropped_and_forked_goes_on_as_the_resident_one(
    policy: str, attention: str, steps: list[str], seed: int, apart: bool, data: st.DataObject
) -> None:
    model, batch = decoder(attention), 2
    with moved(apart):
        caches = [model.new_cache(LOSSLESS[policy]), model.new_cache("resident")]
        for number, step in enumerate(steps):
            x_BTD = normal(seed + number, batch, data.draw(st.integers(1, 5)), DIM).float()
            agree(
                *(logits_of(model, x_BTD, [x_BTD.shape[1]], cache) for cache in caches), copied="fork" in steps[:number]
            )
            if step == "reorder":
                rows = torch.tensor(data.draw(st.lists(st.integers(0, batch - 1), min_size=1, max_size=3)))
                batch = len(rows)
                for cache in caches:
                    cache.reorder(rows)
            elif step == "crop":
                length = data.draw(st.integers(1, caches[0].length))
                for cache in caches:
                    cache.crop(length)
            else:
                copies = data.draw(st.integers(1, 2))
                batch, caches = batch * copies, [cache.fork(copies) for cache in caches]
        x_BTD = normal(seed, batch, 3, DIM).float()
        agree(*(logits_of(model, x_BTD, [2, 1], cache) for cache in caches), copied="fork" in steps)


def agree(found: Tensor, expected: Tensor, *, copied: bool) -> None:
    """Bit for bit, unless rows were copied: they lie elsewhere in memory then, and sums may be ordered differently."""
    if copied:
        torch.testing.assert_close(found, expected, rtol=0, atol=FLOAT32_SUMS)
    else:
        assert torch.equal(found, expected)


@given(st.sampled_from(["int8", "int4", "fp8"]), st.sampled_from(sorted(ATTENTIONS)), runs(), st.data())
@torch.no_grad()
def test_logits_of_a_rounded_cache_are_the_same_for_any_chunks_and_place(
    name: str, attention: str, run: tuple[Tensor, list[int], Tensor | None], data: st.DataObject
) -> None:
    """Without exact last positions."""
    (x_BTD, chunks, mask_BT), model = run, decoder(attention, torch.float64)
    x_BTD, config = x_BTD.double(), cache_policies.resolve(ROUNDED[name])
    whole = logits_of(model, x_BTD, [sum(chunks)], model.new_cache(config), mask_BT)
    place = data.draw(st.sampled_from(sorted(LOSSLESS)))
    with moved():
        elsewhere = model.new_cache(config.replace(store=LOSSLESS[place]))
        found = logits_of(model, x_BTD, chunks, elsewhere, mask_BT)
    real = slice(None) if mask_BT is None else mask_BT
    torch.testing.assert_close(found[real], whole[real], rtol=0, atol=EXACT)


@pytest.mark.parametrize(
    ("fields", "share"),
    [
        ({"dtype": "int8"}, 0.005),
        ({"dtype": "int8", "exact_channels": 8}, 0.004),
        ({"dtype": "fp8"}, 0.02),
        ({"dtype": "int4"}, 0.1),
        ({"dtype": "int4", "group_size": 16}, 0.08),
        ({"dtype": "int4", "residual": 32}, 0.09),
    ],
)
@pytest.mark.parametrize("preset", ["mini", "mini-dense"])
@torch.no_grad()
def test_logits_of_a_rounded_cache_move_by_a_small_share_of_their_size(
    preset: str, fields: dict[str, Any], share: float
) -> None:
    """Root mean square; measured are up to 0.0021 for int8, 0.0096 for fp8 and 0.040 for int4."""
    model = decoders.build(vlkit.presets[preset].decoder.replace(initializer_range=0.08)).eval()
    assert isinstance(model, DeepseekV2)
    x_BTD, chunks = torch.randn(2, 60, model.dim), [40, *[1] * 20]
    expected = logits_of(model, x_BTD, chunks, model.new_cache())
    found = logits_of(model, x_BTD, chunks, model.new_cache({"type": "quantized", **fields}))
    assert 0 < (found - expected).square().mean().sqrt() < share * expected.square().mean().sqrt()


@pytest.mark.parametrize("policy", [*LOSSLESS.values(), *ROUNDED.values()], ids=[*LOSSLESS, *ROUNDED])
@torch.no_grad()
def test_an_interrupted_pass_can_be_taken_back_and_repeated(policy: Any) -> None:
    model, x_BTD = decoder("grouped"), torch.randn(2, 8, DIM)
    with moved():
        expected = logits_of(model, x_BTD, [5, 3], model.new_cache(policy))
        for error in (RuntimeError, KeyboardInterrupt):
            for failing in range(LAYERS):
                cache = model.new_cache(policy)
                first = logits_of(model, x_BTD[:, :5], [5], cache)

                def fail(*_: object, error: type[BaseException] = error) -> None:
                    raise error

                handle = model.layers[failing].get_submodule("mlp").register_forward_pre_hook(fail)
                with pytest.raises(error):
                    logits_of(model, x_BTD[:, 5:], [3], cache)
                handle.remove()
                cache.crop(5)
                assert torch.equal(torch.cat([first, logits_of(model, x_BTD[:, 5:], [3], cache)], dim=1), expected)


@torch.no_grad()
def test_a_pass_that_failed_early_is_cut_off_by_the_next_pass_without_a_crop() -> None:
    model, x_BTD, cache = decoder("grouped"), torch.randn(2, 8, DIM), KVCache(LAYERS)
    first = logits_of(model, x_BTD[:, :5], [5], cache)
    handle = model.layers[1].register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        logits_of(model, x_BTD[:, 5:], [3], cache)
    handle.remove()
    assert [layer.length for layer in cache.layers] == [8, 5, 5]
    assert cache.length == 5
    last = logits_of(model, x_BTD[:, 5:], [3], cache)
    assert torch.equal(torch.cat([first, last], dim=1), logits_of(model, x_BTD, [5, 3], KVCache(LAYERS)))


@pytest.mark.parametrize("policy", [*LOSSLESS.values(), *ROUNDED.values()], ids=[*LOSSLESS, *ROUNDED])
@torch.no_grad()
def test_caches_in_turn_do_not_know_each_other_and_are_freed_at_the_end(policy: Any) -> None:
    model, inputs = decoder("latent, absorbed"), torch.randn(3, 2, 6, DIM)
    gc.collect()
    gc.disable()
    try:
        with moved():
            alone = [logits_of(model, x_BTD, [4, 1, 1], model.new_cache(policy)) for x_BTD in inputs]
            caches = [model.new_cache(policy) for _ in inputs]
            outs: list[list[Tensor]] = [[], [], []]
            for part in (slice(0, 4), slice(4, 5), slice(5, 6)):
                for cache, out, x_BTD in zip(caches, outs, inputs, strict=True):
                    out.append(logits_of(model, x_BTD[:, part], [len(range(6)[part])], cache))
        assert all(torch.equal(torch.cat(out, dim=1), x) for out, x in zip(outs, alone, strict=True))
        buffers = [buffer for c in caches for s in c.layers[0].stores for buffer in s.buffers]
        held: list[Any] = [weakref.ref(buffer.untyped_storage()) for buffer in buffers]
        held += [weakref.ref(cache) for cache in caches]
        assert all(ref() is not None for ref in held)
        del caches, cache, buffers
        assert all(ref() is None for ref in held)
    finally:
        gc.enable()


def test_caches_in_threads_do_not_know_each_other() -> None:
    model, inputs = decoder("grouped"), torch.randn(6, 2, 230, DIM)
    policies = [LOSSLESS["offload"], LOSSLESS["disk"], ROUNDED["int8 on disk"]] * 2

    @torch.no_grad()
    def run(number: int) -> Tensor:
        return logits_of(model, inputs[number], [200, *[1] * 30], model.new_cache(policies[number]))

    with moved(), ThreadPoolExecutor(len(policies)) as threads:
        together = list(threads.map(run, range(len(policies))))
        assert all(torch.equal(found, run(number)) for number, found in enumerate(together))


@pytest.mark.parametrize("policy", [*LOSSLESS.values(), *ROUNDED.values()], ids=[*LOSSLESS, *ROUNDED])
@pytest.mark.parametrize("preset", ["mini", "mini-dense"])
@pytest.mark.parametrize("positions", [1, 3, 256, 300])
@torch.no_grad()
def test_bytes_are_those_that_the_config_tells(policy: Any, preset: str, positions: int) -> None:
    config = vlkit.presets[preset].decoder
    cache, kept = decoders.build(config).new_cache(policy), config.cached_vectors()
    for layer in cache.layers:
        for start in range(0, positions, 100):
            count = min(100, positions - start)
            layer.append(*(torch.zeros(1, *outer, count, width) for outer, width in vectors_of(config)))
    assert cache.nbytes == cache.policy.config.cache_bytes(kept, 4, positions=positions)
    told = vlkit.describe(preset, prompt_tokens=positions, new_tokens=1, dtype=torch.float32, cache=cache.policy.config)
    assert cache.nbytes == told.memory.cache
    assert told.memory.cache_per_token == cache.policy.config.token_bytes(kept, 4)


def vectors_of(config: Any) -> list[tuple[tuple[int, ...], int]]:
    """Sizes between samples and positions, and width, of what a layer keeps."""
    attention = config.attention
    if attention.type == "mla":
        return [((), attention.kv_lora_rank + attention.qk_rope_head_dim)]
    return [((attention.kv_heads,), attention.head_width(config.dim))] * 2


def test_a_policy_is_a_tag_a_mapping_or_a_config() -> None:
    for policy in ("offload", {"type": "offload"}, KVCache(1, "offload").policy.config):
        assert KVCache(1, policy).policy.config.type == "offload"
    with pytest.raises(RegistryError, match="did you mean 'resident'"):
        KVCache(1, "residnt")
    with pytest.raises(ConfigError, match="no field"):
        KVCache(1, {"type": "resident", "blocks": 2})


def test_every_policy_is_tried_here_and_builds_from_its_tag_alone() -> None:
    tried = {cache_policies.resolve(policy).type for policy in [*LOSSLESS.values(), *ROUNDED.values()]}
    assert tried == set(cache_policies)
    for tag in cache_policies:
        assert KVCache(1, tag).policy.config.lossless == (tag != "quantized")


@pytest.fixture
def _scratch() -> Iterator[None]:
    with cache_policies.scratch():
        yield


@torch.no_grad()
@pytest.mark.usefixtures("_scratch")
def test_a_policy_from_outside_sees_each_layer_before_and_after_and_makes_its_caches() -> None:
    calls: list[tuple[str, int, int]] = []

    class WatchConfig(CachePolicyConfig):
        """Writes down what it is told."""

        type: Literal["watch"] = "watch"

    class WatchedLayer(LayerCache):
        """Its own kind of layer."""

    @cache_policies.register(WatchConfig)
    class Watch(CachePolicy):
        def new_layer(self) -> LayerCache:
            return WatchedLayer()

        def before_layer(self, cache: KVCache, index: int) -> None:
            calls.append(("before", index, cache.layers[index].length))

        def after_layer(self, cache: KVCache, index: int) -> None:
            calls.append(("after", index, cache.layers[index].length))

    model = decoder("multi-head")
    cache = model.new_cache("watch")
    model(torch.zeros(1, 4, DIM), cache=cache)
    assert calls == [call for index in range(LAYERS) for call in (("before", index, 0), ("after", index, 4))]
    assert all(isinstance(layer, WatchedLayer) for layer in cache.layers)
