"""Work that cannot be noisy: what a pass multiplies, keeps and asks of the host, counted instead of timed."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import vlkit
from tests.small_models import cache_of, random_model
from vlkit.decoders import DeepseekV2Config, MLAConfig
from vlkit.models.deepseek_vl2.model import DeepseekVLV2
from vlkit.nn.mla import MLA
from vlkit.nn.moe import Experts, MoE
from vlkit.nn.router import Routing

PROMPT = torch.arange(5, 45)[None]
HOST_READS = ("_local_scalar_dense", "nonzero", "item")
"""Operators by which a host waits for numbers of the device."""


class Operators(TorchDispatchMode):
    """Counts the operators that run, by name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        self.counts[call.__name__.partition(".")[0]] += 1
        return call(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def model() -> DeepseekVLV2:
    """The preset "mini" with latent attention and experts."""
    found: Any = random_model(vlkit.presets["mini"], 1, dtype=torch.bfloat16)
    return found


def attention_of(model: DeepseekVLV2) -> MLAConfig:
    decoder = model.config.decoder
    assert isinstance(decoder, DeepseekV2Config) and isinstance(decoder.attention, MLAConfig)
    return decoder.attention


def test_the_cache_keeps_latents_and_nothing_else(model: DeepseekVLV2) -> None:
    attention = attention_of(model)
    cache = cache_of(model.incremental_prefilling(input_ids=PROMPT, cache="resident"))
    per_token = (attention.kv_lora_rank + attention.qk_rope_head_dim) * 2
    for layer in cache.layers:
        assert sum(tensor.numel() * tensor.element_size() for tensor in layer.tensors) == PROMPT.numel() * per_token
        assert layer.nbytes == 256 * per_token
    released = vlkit.presets["deepseek-vl2-small"].decoder
    assert released.cached_values() * 2 == 27 * (512 + 64) * 2


def test_growing_within_a_block_moves_nothing(model: DeepseekVLV2) -> None:
    cache = cache_of(model.incremental_prefilling(input_ids=PROMPT, cache="resident"))
    before = [tensor.data_ptr() for layer in cache.layers for tensor in layer.tensors]
    for token in range(5, 25):
        with torch.no_grad():
            model(input_ids=torch.tensor([[token]]), cache=cache)
    assert [tensor.data_ptr() for layer in cache.layers for tensor in layer.tensors] == before


def test_a_decoded_token_never_expands_the_latents(model: DeepseekVLV2) -> None:
    cache = cache_of(model.incremental_prefilling(input_ids=PROMPT, cache="resident"))
    expanded: list[tuple[int, ...]] = []
    for module in model.modules():
        if isinstance(module, MLA):
            module.kv_b_proj.register_forward_hook(lambda _, given, out: expanded.append(tuple(given[0].shape)))
    with torch.no_grad():
        model(input_ids=torch.tensor([[7]]), cache=cache)
    assert expanded == []


@pytest.mark.parametrize("tokens", [1, 3, 40])
def test_an_expert_runs_once_if_a_token_chose_it_and_not_at_all_otherwise(tokens: int) -> None:
    experts = Experts(16, 8, 8)
    runs: list[int] = []
    plain = experts.run_expert

    def counted(expert: int, x_MD: Tensor) -> Tensor:
        runs.append(len(x_MD))
        return plain(expert, x_MD)

    experts.run_expert = counted  # type: ignore[method-assign]
    ids_MA = torch.stack([torch.randperm(16)[:3] for _ in range(tokens)])
    experts(torch.randn(tokens, 8), Routing(ids_MA, torch.ones(tokens, 3), torch.ones(tokens, 16)))
    assert len(runs) == len(ids_MA.unique())
    assert sum(runs) == 3 * tokens


def test_fused_experts_are_two_matrix_products_and_ask_the_host_nothing() -> None:
    config = vlkit.presets["mini"].decoder.moe.replace(compute="fused")
    layer, x_BTD = MoE(config, dim=96).to(torch.bfloat16), torch.randn(1, 9, 96, dtype=torch.bfloat16)
    with torch.no_grad(), Operators() as seen:
        layer(x_BTD)
    assert seen.counts["_grouped_mm"] == 2
    assert not [name for name in HOST_READS if seen.counts[name]]


def test_a_cached_beginning_spares_the_encoder(model: DeepseekVLV2) -> None:
    processor = vlkit.DeepseekVLV2Processor.for_model(model.config)
    inputs: Any = processor(prompt="<image> and more", images=[torch.zeros(60, 90, 3, dtype=torch.uint8)])
    runs: list[int] = []
    hook = model.encoder.register_forward_pre_hook(lambda _, given: runs.append(len(given[0])))
    out = model.incremental_prefilling(**inputs, cache="resident")
    assert len(runs) == 1
    model.generate(**inputs, cache=out.cache, max_new_tokens=2, eos_token_id=())
    hook.remove()
    assert len(runs) == 1


def test_logits_are_computed_for_one_position_per_step(model: DeepseekVLV2) -> None:
    positions: list[int] = []
    plain = model.decoder.logits

    def counted(x_BTD: Tensor) -> Tensor:
        positions.append(x_BTD.shape[1])
        return plain(x_BTD)

    model.decoder.logits = counted  # type: ignore[method-assign]
    model.generate(input_ids=PROMPT, max_new_tokens=4, chunk_size=16, eos_token_id=())
    del model.decoder.logits
    assert positions == [1, 1, 1, 1]
