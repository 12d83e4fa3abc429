"""What can only be seen on a CUDA device; skipped where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import vlkit
from tests.parity import recorded

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
