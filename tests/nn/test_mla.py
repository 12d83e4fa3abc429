"""Latent attention: expanding and absorbing are one function, computed at different cost."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.strategies import cuts, left_padded, normal, seeds
from tests.tolerances import BFLOAT16, EXACT
from vlkit.cache import LayerCache
from vlkit.nn.attention import padded_causal_mask
from vlkit.nn.mla import MLA, MLAConfig
from vlkit.nn.rope import Rope, Rotation, rotate

DIM = 7
VL2 = MLAConfig()


@st.composite
def configs(draw: st.DrawFn, smallest: int = 1) -> MLAConfig:
    """Any small ranks and widths, with and without the queries' own rank."""
    return MLAConfig(
        num_attention_heads=draw(st.integers(smallest, 3)),
        q_lora_rank=draw(st.sampled_from([None, 1, 4])),
        kv_lora_rank=draw(st.integers(smallest, 6)),
        qk_nope_head_dim=draw(st.integers(smallest, 5)),
        qk_rope_head_dim=draw(st.sampled_from([2, 4])),
        v_head_dim=draw(st.integers(smallest, 5)),
        attention_bias=draw(st.booleans()),
    )


def build(config: MLAConfig, seed: int, **fields: Any) -> MLA:
    """Layer in float64 whose parameters depend on the seed alone, the norms' weights included."""
    layer = MLA(config.replace(**fields), dim=DIM, softmax_factor=1.3).double()
    with torch.no_grad():
        for number, parameter in enumerate(layer.parameters()):
            parameter.copy_(normal(seed + number, *parameter.shape))
    return layer


def turn(config: MLAConfig, positions_BT: Tensor) -> Rotation:
    return Rope(dim=config.qk_rope_head_dim, theta=100.0, max_positions=64)(positions_BT)


def naive(layer: MLA, x_TD: Tensor) -> Tensor:
    """One sample by the equations of the paper, head by head and query by query."""
    config, length = layer.config, len(x_TD)
    nope, rope = config.qk_nope_head_dim, config.qk_rope_head_dim
    rotation = turn(config, torch.arange(length)[None])

    def rms(x: Tensor, weight: Tensor) -> Tensor:
        return weight * x / (x.pow(2).mean(dim=-1, keepdim=True) + 1e-6).sqrt()

    if config.q_lora_rank is None:
        queries = layer.q_proj(x_TD)
    else:
        queries = layer.q_b_proj(rms(layer.q_a_proj(x_TD), layer.q_a_layernorm.weight))
    latent, shared_key = layer.kv_a_proj_with_mqa(x_TD).split([config.kv_lora_rank, rope], dim=-1)
    pairs = layer.kv_b_proj(rms(latent, layer.kv_a_layernorm.weight))
    shared_key = rotate(shared_key[None, :, None], rotation, interleaved=True)[0, :, 0]
    outs = []
    for head in range(config.num_attention_heads):
        q = queries[:, head * (nope + rope) :][:, : nope + rope]
        q_rotated = rotate(q[None, :, None, nope:], rotation, interleaved=True)[0, :, 0]
        k, v = pairs[:, head * (nope + config.v_head_dim) :][:, : nope + config.v_head_dim].split(
            [nope, config.v_head_dim], 1
        )
        scores = (q[:, :nope] @ k.T + q_rotated @ shared_key.T) * (nope + rope) ** -0.5 * 1.3
        hidden = torch.ones(length, length, dtype=torch.bool).triu(1)
        outs.append(scores.masked_fill(hidden, float("-inf")).softmax(dim=-1) @ v)
    return layer.o_proj(torch.cat(outs, dim=-1))


def agree(found: Tensor, expected: Tensor) -> bool:
    """Equal up to the order of float64 sums, relative to the size of the numbers."""
    return torch.allclose(found, expected, rtol=EXACT, atol=EXACT * (1 + float(expected.detach().abs().max())))


@pytest.mark.parametrize("mode", ["expand", "absorb"])
@given(configs(), st.integers(1, 5), seeds)
def test_attention_follows_the_equations_of_the_paper(mode: str, config: MLAConfig, length: int, seed: int) -> None:
    layer, x_BTD = build(config, seed, mode=mode), normal(seed - 1, 2, length, DIM)
    found = layer(x_BTD, rotation=turn(config, torch.arange(length).expand(2, -1)))
    assert agree(found, torch.stack([naive(layer, x_TD) for x_TD in x_BTD]))


@given(configs(), st.integers(0, 4), st.integers(1, 5), st.data(), st.booleans(), seeds)
def test_expand_is_absorb_with_and_without_cache_and_padding(
    config: MLAConfig, past: int, new: int, data: st.DataObject, padded: bool, seed: int
) -> None:
    mask_BS = data.draw(left_padded(2, past + new)) if padded else None
    x_BSD, positions, found = normal(seed - 1, 2, past + new, DIM), torch.arange(past + new).expand(2, -1), {}
    for mode in ("expand", "absorb"):
        layer, cache, outs = build(config, seed, mode=mode), LayerCache() if past else None, []
        for chunk in [slice(0, past), slice(past, past + new)] if past else [slice(0, new)]:
            seen = chunk.stop
            mask = None if mask_BS is None else padded_causal_mask(mask_BS[:, :seen], seen - chunk.start)
            rotation = turn(config, positions[:, chunk])
            outs.append(layer(x_BSD[:, chunk], rotation=rotation, mask_BTS=mask, cache=cache))
        found[mode] = torch.cat(outs, dim=1)
    assert agree(found["absorb"], found["expand"])


@given(configs(), seeds)
def test_expand_and_absorb_have_the_same_gradients(config: MLAConfig, seed: int) -> None:
    gradients = {}
    for mode in ("expand", "absorb"):
        layer, x_BTD = build(config, seed, mode=mode), normal(seed - 1, 1, 4, DIM).requires_grad_()
        out = layer(x_BTD, rotation=turn(config, torch.arange(4)[None]))
        gradients[mode] = torch.autograd.grad(out.square().sum(), [x_BTD, *layer.parameters()])
    for absorbed, expanded in zip(gradients["absorb"], gradients["expand"], strict=True):
        assert agree(absorbed, expanded)


@given(configs(), st.integers(1, 7).flatmap(cuts), st.sampled_from(["auto", "expand", "absorb"]), seeds)
def test_chunks_with_a_cache_are_the_whole_without(config: MLAConfig, chunks: list[int], mode: str, seed: int) -> None:
    layer, cache, length = build(config, seed, mode=mode), LayerCache(), sum(chunks)
    x_BTD, positions = normal(seed - 1, 2, length, DIM), torch.arange(length).expand(2, -1)
    whole = layer(x_BTD, rotation=turn(config, positions))
    with torch.no_grad():
        parts = [
            layer(x, rotation=turn(config, p), cache=cache)
            for x, p in zip(x_BTD.split(chunks, dim=1), positions.split(chunks, dim=1), strict=True)
        ]
    assert agree(torch.cat(parts, dim=1), whole)
    assert [list(tensor.shape) for tensor in cache.tensors] == [[2, length, config.cached_values(DIM)]]


def measured(config: MLAConfig, mode: str, new: int, seen: int) -> int:
    """Operations that torch counts for the part in which the two ways differ."""
    with torch.device("meta"):
        layer = MLA(config.replace(mode=mode), dim=DIM)
    width = config.qk_nope_head_dim + config.qk_rope_head_dim
    q_BTHK = torch.empty(1, new, config.num_attention_heads, width, device="meta")
    c_BSR = torch.empty(1, seen, config.cached_values(DIM), device="meta")
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        (layer.absorb if mode == "absorb" else layer.expand)(q_BTHK, c_BSR, None)
    return counter.get_total_flops()


@given(configs(smallest=2), st.integers(1, 9), st.integers(0, 60))
def test_auto_takes_the_way_of_fewer_counted_operations(config: MLAConfig, new: int, past: int) -> None:
    assume(new + past > 1)  # torch does not count a product that it turns into an elementwise one
    absorb, expand = (measured(config, mode, new, past + new) for mode in ("absorb", "expand"))
    assert config.absorbs(new, past + new) == (absorb < expand)


def test_released_widths_absorb_decoding_and_expand_prefill() -> None:
    assert VL2.absorbs(1, 4096) and not VL2.absorbs(4096, 4096) and not VL2.absorbs(1, 1)
    assert VL2.absorbs(157, 10**7) and not VL2.absorbs(158, 10**7)
    for mode, way in (("expand", False), ("absorb", True)):
        assert {VL2.replace(mode=mode).absorbs(new, 4096) for new in (1, 4096)} == {way}


def test_each_call_is_computed_the_way_that_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    config = MLAConfig(num_attention_heads=2, kv_lora_rank=8, qk_nope_head_dim=4, qk_rope_head_dim=2, v_head_dim=4)
    layer, cache, taken = build(config, 0), LayerCache(), []

    def spy(way: str) -> Callable[..., Tensor]:
        compute = getattr(layer, way)

        def run(*inputs: Any) -> Tensor:
            taken.append(way)
            return compute(*inputs)

        return run

    for way in ("expand", "absorb"):
        monkeypatch.setattr(layer, way, spy(way))
    with torch.no_grad():
        for at, new in ((0, 40), (40, 1), (41, 30)):
            layer(normal(at, 1, new, DIM), rotation=turn(config, torch.arange(at, at + new)[None]), cache=cache)
    assert taken == ["expand", "absorb", "expand"]


@pytest.mark.parametrize("rank", [None, 3])
def test_biases_stand_where_upstream_has_them(rank: int | None) -> None:
    config = MLAConfig(q_lora_rank=rank, attention_bias=True)
    with torch.device("meta"):
        biases = {name for name, _ in MLA(config, dim=DIM).named_parameters() if name.endswith("bias")}
        assert not any(
            name.endswith("bias") for name in MLA(config.replace(attention_bias=False), dim=DIM).state_dict()
        )
    assert biases == {"kv_a_proj_with_mqa.bias", "o_proj.bias"} | ({"q_a_proj.bias"} if rank else set())


@pytest.mark.parametrize("mode", ["expand", "absorb"])
def test_a_bfloat16_layer_keeps_far_positions_apart(mode: str) -> None:
    config = MLAConfig(num_attention_heads=2, kv_lora_rank=8, qk_nope_head_dim=2, qk_rope_head_dim=16, v_head_dim=4)
    layer = MLA(config.replace(mode=mode), dim=DIM).to(torch.bfloat16)
    x_BTD, positions = torch.randn(1, 6, DIM).to(torch.bfloat16), torch.arange(6)[None]
    here, there = (layer(x_BTD, rotation=turn(config, at)) for at in (positions, positions + 3001))
    assert torch.allclose(here.float(), there.float(), rtol=0, atol=BFLOAT16)
    assert not torch.equal(here, layer(x_BTD, rotation=turn(config, torch.zeros_like(positions))))
