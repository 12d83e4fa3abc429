"""Bytes are those that weights and cache take, and about those that activations take."""

import pytest
import torch

import vlkit
from tests.description.live_bytes import LiveBytes
from tests.description.pictures import picture_inputs
from vlkit.cache import OffloadConfig, StaticConfig
from vlkit.decoders import DeepseekV2Config, MHAConfig, MLAConfig, MoEConfig, decoders
from vlkit.description import describe
from vlkit.encoders import SigLIP, SigLIPConfig

MINI = vlkit.presets["mini"]


RELEASED = ("deepseek-vl2-tiny", "deepseek-vl2-small", "deepseek-vl2")


@pytest.mark.parametrize(("name", "expected"), list(zip(RELEASED, (61_440, 31_104, 34_560))))
def test_cache_takes_the_published_bytes_per_token(name: str, expected: int) -> None:
    assert vlkit.describe(name).memory.cache_per_token == expected


@pytest.mark.parametrize("name", ["mini", "mini-dense"])
@pytest.mark.parametrize("new_tokens", [1, 2, 200])
def test_cache_reserves_the_bytes_that_are_told(name: str, new_tokens: int) -> None:
    model = vlkit.build(name).eval()
    cache = model.decoder.new_cache()
    ids = torch.ones(1, 100, dtype=torch.long)
    model.generate(input_ids=ids, max_new_tokens=new_tokens, eos_token_id=(), cache=cache)
    told = vlkit.describe(name, prompt_tokens=100, new_tokens=new_tokens, dtype=torch.float32)
    assert (cache.length, cache.nbytes) == (told.context.positions, told.memory.cache)


def test_offload_keeps_two_layers_on_the_device() -> None:
    resident, offload = (describe(MINI, prompt_tokens=99, cache=policy).memory for policy in ("resident", "offload"))
    assert resident.cache == resident.cache_on_device == offload.cache
    assert resident.cache is not None and offload.cache_on_device == 2 * resident.cache // MINI.decoder.num_layers
    assert describe(MINI, prompt_tokens=99, cache=OffloadConfig()).memory == offload
    assert "of it on the device" in str(describe(MINI, prompt_tokens=99, cache="offload"))


def test_a_quantized_cache_adds_the_layer_that_is_read_back() -> None:
    small = vlkit.presets["deepseek-vl2-small"]
    resident, quantized = (describe(small, prompt_tokens=3000, cache=name).memory for name in ("resident", "quantized"))
    positions = 3000 + 63
    assert (quantized.cache_per_token, quantized.cache) == (27 * 594, 27 * 594 * 3072)
    assert resident.peak is not None and quantized.peak is not None and resident.cache is not None
    assert resident.peak - quantized.peak == resident.cache - 27 * 594 * 3072 - positions * 576 * 2


def test_more_positions_than_a_static_cache_has_are_told() -> None:
    told = describe(MINI, prompt_tokens=30, new_tokens=11, cache=StaticConfig(capacity=39))
    assert "40 positions exceed the 39 of the cache 'static'" in " ".join(told.warnings)
    assert describe(MINI, prompt_tokens=30, new_tokens=11, cache=StaticConfig(capacity=40)).warnings == ()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_weights_take_the_bytes_that_are_told(dtype: torch.dtype) -> None:
    model = vlkit.build("mini", dtype=dtype)
    taken = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    assert vlkit.describe("mini", dtype=dtype).memory.weights == taken


def test_a_decoded_token_reads_active_weights_and_cache() -> None:
    told = describe(MINI, prompt_tokens=40, new_tokens=11)
    active, per_token = told.parameters["decoder"].active, told.memory.cache_per_token
    assert active is not None and per_token is not None
    assert told.memory.read_per_token == 2 * active + 50 * per_token


LATENT = MLAConfig(num_attention_heads=2, kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=32, v_head_dim=64)


WORKING_SETS = {
    "dense, multi-head": (MHAConfig(num_attention_heads=4), 512, None),
    "attention prevails": (MHAConfig(num_attention_heads=4, num_key_value_heads=2), 32, None),
    "expand": (LATENT.replace(mode="expand"), 64, None),
    "absorb": (LATENT.replace(mode="absorb"), 64, None),
    "grouped experts": (LATENT, 64, MoEConfig(n_routed_experts=16, num_experts_per_tok=6, moe_intermediate_size=32)),
    "experts in a loop": (
        MHAConfig(num_attention_heads=4),
        64,
        MoEConfig(n_routed_experts=16, num_experts_per_tok=6, moe_intermediate_size=32, compute="loop"),
    ),
    "shared experts prevail": (
        MHAConfig(num_attention_heads=4),
        64,
        MoEConfig(n_routed_experts=16, num_experts_per_tok=1, moe_intermediate_size=256, n_shared_experts=4),
    ),
}


@pytest.mark.usefixtures("half_products")
@pytest.mark.parametrize("case", WORKING_SETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("past", "new"), [(0, 300), (300, 1), (440, 70)])
def test_decoder_holds_about_the_bytes_that_are_estimated(case: str, dtype: torch.dtype, past: int, new: int) -> None:
    """Within 35 %: rotary tables are not counted, and the rotation's scratch is rounded up."""
    attention, hidden, moe = WORKING_SETS[case]
    config = DeepseekV2Config(
        vocab_size=8, hidden_size=128, num_hidden_layers=3, intermediate_size=hidden, attention=attention, moe=moe
    )
    decoder = decoders.build(config).to(dtype).eval()
    with torch.no_grad():
        cache = decoder.new_cache()
        if past:
            decoder(torch.randn(1, past, config.dim, dtype=dtype), cache=cache)
        with LiveBytes() as live:
            decoder(torch.randn(1, new, config.dim, dtype=dtype), cache=cache)
    held = live.peak - (0 if past else cache.nbytes)
    assert config.activation_bytes(new, past + new, dtype.itemsize) == pytest.approx(held, rel=0.35)


@pytest.mark.usefixtures("half_products")
@pytest.mark.parametrize(
    "attention", [MHAConfig(num_attention_heads=4), MLAConfig(num_attention_heads=4, kv_lora_rank=128)]
)
@pytest.mark.parametrize(("past", "new"), [(0, 2048), (1536, 512)])
def test_a_long_prompt_peaks_at_the_estimate(attention: MHAConfig | MLAConfig, past: int, new: int) -> None:
    """Within 10 %, whole and as the last of its chunks."""
    moe = MoEConfig(n_routed_experts=8, num_experts_per_tok=2, moe_intermediate_size=128, n_shared_experts=2)
    config = DeepseekV2Config(
        vocab_size=8, hidden_size=256, num_hidden_layers=2, intermediate_size=512, attention=attention, moe=moe
    )
    decoder = decoders.build(config).bfloat16().eval()
    with torch.no_grad():
        cache = decoder.new_cache(StaticConfig(capacity=2048))
        if past:
            decoder(torch.randn(1, past, config.dim, dtype=torch.bfloat16), cache=cache)
        before = cache.nbytes
        x_BTD = torch.randn(1, new, config.dim, dtype=torch.bfloat16)
        with LiveBytes() as live:
            decoder(x_BTD, cache=cache)
    held = x_BTD.nbytes + live.peak - (cache.nbytes - before)
    assert config.activation_bytes(new, past + new, 2) == pytest.approx(held, rel=0.1)


@pytest.mark.usefixtures("half_products")
@pytest.mark.parametrize("mlp_ratio", [1.0, 3.7362])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_encoder_holds_about_the_bytes_that_are_estimated(mlp_ratio: float, dtype: torch.dtype) -> None:
    """Within 10 %: tensors that live only inside a kernel are not seen."""
    config = SigLIPConfig(image_size=140, width=144, layers=3, heads=4, mlp_ratio=mlp_ratio)
    encoder = SigLIP(config).to(dtype)
    pixels = torch.rand(3, 3, 140, 140, dtype=dtype)
    with torch.no_grad(), LiveBytes() as live:
        encoder(pixels)
    assert 3 * config.activation_bytes(config.tile_size, dtype.itemsize) == pytest.approx(live.peak, rel=0.1)


@pytest.mark.usefixtures("half_products")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(400, 400), (100, 100)])
def test_generation_peaks_at_about_the_estimate(dtype: torch.dtype, size: tuple[int, int]) -> None:
    """Within 10 %, both where the encoder is the hungriest and where the decoder is."""
    config = MINI.replace(
        encoder=SigLIPConfig(image_size=140, width=144, layers=2, heads=4),
        decoder=MINI.decoder.replace(
            hidden_size=256,
            attention=LATENT,
            moe=MoEConfig(n_routed_experts=16, num_experts_per_tok=6, moe_intermediate_size=176, n_shared_experts=2),
        ),
        candidate_resolutions=tuple((140 * side, 140 * side) for side in (1, 2, 3)),
    )
    model, inputs = vlkit.build(config, dtype=dtype).eval(), picture_inputs(config, size, prompt_tokens=20)
    with LiveBytes() as live:
        model.generate(**inputs, max_new_tokens=5, eos_token_id=())
    memory = describe(config, image_sizes=[size], prompt_tokens=20, new_tokens=5, dtype=dtype).memory
    assert memory.peak is not None and memory.weights is not None
    assert memory.peak - memory.weights == pytest.approx(live.peak + inputs["images"].nbytes, rel=0.1)


def test_peak_is_the_sum_of_what_lives_together() -> None:
    memory = vlkit.describe("deepseek-vl2-small", image_sizes=[(1024, 768)], prompt_tokens=64).memory
    known = (memory.weights, memory.cache_on_device, memory.vision, memory.prefill, memory.decode)
    weights, cache, vision, prefill, decode = (value or 0 for value in known)
    assert memory.peak == weights + max(vision, cache + prefill, cache + decode)
    assert min(weights, cache, vision, prefill, decode) > 0
