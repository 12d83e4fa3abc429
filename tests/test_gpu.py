"""What can only be seen on a CUDA device; skipped where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import vlkit
from tests.parity import recorded
from vlkit.cache import KVCache, Static

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

LOGITS_ON_CUDA = 2e-3
"""float32 on CUDA sums in another order than the recorded CPU run, and by default uses TF32 nowhere here."""


@pytest.fixture(scope="module")
def inputs(golden: Path) -> dict[str, torch.Tensor]:
    io = recorded(golden / "a3_mla_noaux_sigmoid_2d_tail")
    names = ("input_ids", "attention_mask", "images", "images_seq_mask", "images_spatial_crop")
    return {name: io[name].cuda() for name in names}


@pytest.fixture(scope="module")
def model(golden: Path) -> vlkit.VLM:
    return vlkit.from_pretrained(golden / "a3_mla_noaux_sigmoid_2d_tail", device="cuda")


def test_logits_on_cuda_are_the_recorded_ones(model: vlkit.VLM, inputs: dict[str, torch.Tensor], golden: Path) -> None:
    expected = recorded(golden / "a3_mla_noaux_sigmoid_2d_tail")
    with torch.no_grad():
        logits = model(**inputs).logits
    assert logits is not None
    real = expected["attention_mask"].bool()
    torch.testing.assert_close(logits.cpu()[real], expected["logits"][real], atol=LOGITS_ON_CUDA, rtol=0)


def test_offload_equals_resident_bit_for_bit(model: vlkit.VLM, inputs: dict[str, torch.Tensor]) -> None:
    runs = [model.incremental_prefilling(**inputs, chunk_size=7, cache=cache) for cache in ("resident", "offload")]
    assert runs[0].logits is not None and runs[1].logits is not None
    assert torch.equal(runs[0].logits, runs[1].logits)


def test_offloaded_layers_live_on_the_host(model: vlkit.VLM, inputs: dict[str, torch.Tensor]) -> None:
    out = model.incremental_prefilling(**inputs, chunk_size=7, cache="offload")
    assert out.cache is not None
    assert {tensor.device.type for layer in out.cache.layers for tensor in layer.tensors} == {"cpu"}


LOSSLESS = {
    "offload": "offload",
    "offload, one layer": {"type": "offload", "on_device": 1},
    "chunk_offload": "chunk_offload",
    "disk": "disk",
    "static": "static",
}


@pytest.mark.parametrize("policy", LOSSLESS.values(), ids=LOSSLESS)
@pytest.mark.parametrize("preset", ["mini", "mini-dense"])
@torch.no_grad()
def test_every_lossless_policy_is_resident_bit_for_bit_over_many_steps(preset: str, policy: Any) -> None:
    """Long enough for copies on another stream to come too late, if nothing waited for them."""
    decoder = vlkit.build(preset, device="cuda", dtype=torch.bfloat16).eval().decoder
    x_BTD = torch.randn(3, 900, decoder.dim, device="cuda", dtype=torch.bfloat16)
    caches = [decoder.new_cache(policy), decoder.new_cache()]
    for chunk in x_BTD.split([400, 300, *[1] * 200], dim=1):
        assert torch.equal(*(decoder(chunk, cache=cache).x_BTD for cache in caches))
    for cache in caches:
        cache.reorder(torch.tensor([2, 0, 0, 1]))
        cache.crop(650)
    forks = [cache.fork(2) for cache in caches]
    for pair, rows in ((caches, 4), (forks, 8), (caches, 4)):
        x = torch.randn(rows, 3, decoder.dim, device="cuda", dtype=torch.bfloat16)
        assert torch.equal(*(decoder(x, cache=cache).x_BTD for cache in pair))


@pytest.mark.parametrize("size", [1, 2])
@torch.no_grad()
def test_offload_keeps_the_device_free_while_the_context_grows(size: int) -> None:
    cache = KVCache(24, {"type": "offload", "on_device": size})
    cache.device, before = torch.device("cuda", torch.cuda.current_device()), torch.cuda.memory_allocated()
    for _ in range(8):
        cache.extend_mask(512, None, batch=1)
        for index, layer in enumerate(cache.layers):
            torch.cuda.reset_peak_memory_stats()
            cache.policy.before_layer(cache, index)
            layer.append(torch.randn(1, 512, 1024, device="cuda"))
            cache.policy.after_layer(cache, index)
            bound = (size + 1) * cache.nbytes // 24 + 2 * 512 * 1024 * 4
            assert torch.cuda.max_memory_allocated() - before <= bound
    assert torch.cuda.memory_allocated() == before
    stores = [store for layer in cache.layers for store in layer.stores]
    assert all(buffer.is_pinned() for store in stores for buffer in store.buffers)


@torch.no_grad()
def test_a_quantized_cache_is_near_on_cuda_and_the_same_wherever_it_is_kept() -> None:
    decoder = vlkit.build("mini", device="cuda").eval().decoder
    x_BTD = torch.randn(2, 300, decoder.dim, device="cuda")
    exact = decoder(x_BTD, cache=decoder.new_cache()).x_BTD
    for dtype in ("int8", "int4", "fp8"):
        places = [{"type": "quantized", "dtype": dtype, "store": store} for store in ("resident", "offload", "disk")]
        found = [decoder(x_BTD, cache=decoder.new_cache(place)).x_BTD for place in places]
        assert torch.equal(found[0], found[1])
        assert torch.equal(found[0], found[2])
        assert (found[0] - exact).square().mean().sqrt() < 0.2 * exact.square().mean().sqrt()


@torch.no_grad()
def test_static_buffers_on_cuda_stay_where_they_are() -> None:
    decoder = vlkit.build("mini", device="cuda").eval().decoder
    cache = decoder.new_cache({"type": "static", "capacity": 300})
    assert isinstance(cache.policy, Static)
    seen = set()
    for count in (10, 1, 200):
        decoder(torch.randn(1, count, decoder.dim, device="cuda"), cache=cache)
        length = cache.policy.length_tensor(cache)
        assert length.is_cuda
        assert length.item() == cache.length
        stores = [store for layer in cache.layers for store in layer.stores]
        seen.add((length.data_ptr(), *(buffer.data_ptr() for store in stores for buffer in store.buffers)))
    assert len(seen) == 1


def test_training_in_bfloat16_learns_and_goes_on(tmp_path: Path) -> None:
    from tests.training.runs import run

    result = run(tmp_path, device="auto", precision="bf16", gradient_checkpointing=True)
    assert result.model.device.type == "cuda"
    assert result.history[-1]["eval_loss"] < 0.7 * result.history[0]["loss"]
    assert run(tmp_path, device="auto", precision="bf16", gradient_checkpointing=True).history == result.history
