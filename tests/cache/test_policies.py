"""Every lossless policy gives the same numbers; a policy is told before and after every layer."""

from collections.abc import Iterator
from typing import Literal

import pytest
import torch
from torch import Tensor

from vlkit.cache import CachePolicy, CachePolicyConfig, KVCache, LayerCache, cache_policies
from vlkit.decoders import DeepseekV2, DeepseekV2Config, MHAConfig, MLAConfig

ATTENTIONS = {
    "mha": MHAConfig(num_attention_heads=2),
    "mla": MLAConfig(
        num_attention_heads=2, kv_lora_rank=5, qk_nope_head_dim=3, qk_rope_head_dim=2, v_head_dim=4, mode="expand"
    ),
}


@pytest.fixture(params=ATTENTIONS)
def decoder(request: pytest.FixtureRequest) -> DeepseekV2:
    """Small decoder that pays attention."""
    config = DeepseekV2Config(
        vocab_size=11,
        hidden_size=8,
        num_hidden_layers=3,
        intermediate_size=8,
        attention=ATTENTIONS[request.param],
        initializer_range=0.5,
    )
    return DeepseekV2(config).eval()


def run(decoder: DeepseekV2, cache: KVCache, device: str = "cpu") -> Tensor:
    """Logits of a padded batch: prefill in two chunks, a step, a reordering, a crop, and another step."""
    ids = torch.arange(14).view(2, 7).to(device) % 11
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]], device=device)
    outs = [decoder(decoder.embed(ids[:, :4]), attention_mask=mask, cache=cache)]
    outs.append(decoder(decoder.embed(ids[:, 4:6]), cache=cache))
    cache.reorder(torch.tensor([1, 0]))
    outs.append(decoder(decoder.embed(ids[:, 6:]), cache=cache))
    cache.crop(5)
    outs.append(decoder(decoder.embed(ids[:, :1]), cache=cache))
    return torch.cat([decoder.logits(out.x_BTD).cpu() for out in outs], dim=1)


@torch.no_grad()
@pytest.mark.parametrize("policy", [tag for tag in cache_policies if tag != "resident"])
def test_every_policy_gives_the_resident_logits_bit_for_bit(policy: str, decoder: DeepseekV2) -> None:
    assert torch.equal(run(decoder, decoder.new_cache(policy)), run(decoder, decoder.new_cache("resident")))


def test_offload_brings_a_layer_to_the_device_and_back_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, moves = KVCache(2, "offload"), []
    cache.device = torch.device("meta")
    for index, layer in enumerate(cache.layers):
        monkeypatch.setattr(layer, "to", lambda device, index=index: moves.append((index, str(device))))
    for index in range(2):
        cache.policy.before_layer(cache, index)
        cache.policy.after_layer(cache, index)
    assert moves == [(0, "meta"), (0, "cpu"), (1, "meta"), (1, "cpu")]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@torch.no_grad()
def test_offload_is_resident_bit_for_bit_and_rests_on_the_host(decoder: DeepseekV2) -> None:
    decoder, cache = decoder.to("cuda"), decoder.new_cache("offload")
    assert torch.equal(run(decoder, cache, "cuda"), run(decoder, decoder.new_cache(), "cuda"))
    assert {tensor.device.type for layer in cache.layers for tensor in layer.tensors} == {"cpu"}


@pytest.fixture
def _scratch() -> Iterator[None]:
    with cache_policies.scratch():
        yield


@torch.no_grad()
@pytest.mark.usefixtures("_scratch")
def test_a_policy_from_outside_sees_each_layer_before_and_after_and_makes_its_caches(decoder: DeepseekV2) -> None:
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

    cache = decoder.new_cache("watch")
    decoder(torch.zeros(1, 4, 8), cache=cache)
    assert calls == [call for index in range(3) for call in (("before", index, 0), ("after", index, 4))]
    assert all(isinstance(layer, WatchedLayer) for layer in cache.layers)
