"""Parameters are those that the real modules have, told by what they are for."""

import pytest
import torch
from hypothesis import given
from torch import nn

import vlkit
from tests.description.drawn import DECODERS, siglips
from vlkit.decoders import DeepseekV2Config, decoders
from vlkit.description import Parameters, describe
from vlkit.encoders import SigLIP, SigLIPConfig

MINI = vlkit.presets["mini"]


@pytest.mark.parametrize(
    ("name", "total", "projector", "decoder", "active"),
    [
        ("deepseek-vl2-tiny", 3_370_501_440, 7_539_200, 2_934_734_080, "1.01"),
        ("deepseek-vl2-small", 16_148_349_504, 13_635_584, 15_706_484_224, "2.89"),
        ("deepseek-vl2", 27_480_134_248, 18_355_200, 27_033_548_328, "4.57"),
    ],
)
def test_released_models_have_the_published_sizes(
    name: str, total: int, projector: int, decoder: int, active: str
) -> None:
    parameters = vlkit.describe(name).parameters
    assert parameters.total == total
    assert parameters["encoder"].total == 428_225_600
    assert parameters["projector"].total == projector
    assert parameters["decoder"].total == decoder
    assert parameters.active is not None and f"{parameters.active / 1e9:.2f}" == active


def real_kind(name: str) -> str:
    """Kind of a parameter of `DeepseekV2` by its name."""
    kinds = {
        "embed_tokens": "embedding",
        "lm_head": "head",
        "self_attn": "attention",
        "shared_experts": "shared experts",
        "experts": "routed experts",
        "router": "router",
        "gate_proj": "dense MLP",
        "up_proj": "dense MLP",
        "down_proj": "dense MLP",
    }
    return next((kinds[step] for step in name.split(".") if step in kinds), "norms")


def by_real_kind(decoder: nn.Module) -> dict[str, int]:
    totals: dict[str, int] = {}
    for name, parameter in decoder.named_parameters():
        totals[real_kind(name)] = totals.get(real_kind(name), 0) + parameter.numel()
    return totals


def totals_of(parameters: Parameters) -> dict[str, int | None]:
    return {part.name: part.total for part in parameters.parts}


@pytest.mark.parametrize("name", vlkit.presets)
def test_every_part_of_a_preset_counts_what_its_module_has(name: str) -> None:
    model, parameters = vlkit.build(name, device="meta"), vlkit.describe(name).parameters
    for kind, module in model.named_children():
        assert parameters[kind].total == sum(parameter.numel() for parameter in module.parameters())
    assert parameters.total == sum(parameter.numel() for parameter in model.parameters())
    assert totals_of(parameters["decoder"]) == by_real_kind(model.decoder)


@given(DECODERS)
def test_decoder_parameters_are_told_by_kind(config: DeepseekV2Config) -> None:
    parameters = describe(MINI.replace(decoder=config)).parameters["decoder"]
    totals, moe = by_real_kind(decoders.build(config)), config.moe
    assert totals_of(parameters) == totals
    idle = 0
    if moe is not None and "routed experts" in totals:
        layers = sum(config.is_moe_layer(index) for index in range(config.num_hidden_layers))
        per_expert = 3 * config.hidden_size * moe.moe_intermediate_size
        idle = layers * (moe.n_routed_experts - moe.num_experts_per_tok) * per_expert
    lookup = 0 if config.tie_word_embeddings else config.vocab_size * config.hidden_size
    assert parameters.active == sum(totals.values()) - idle - lookup


@given(siglips())
def test_unused_parameters_of_an_encoder_are_those_without_a_gradient(config: SigLIPConfig) -> None:
    encoder = SigLIP(config)
    encoder(torch.zeros(1, 3, config.tile_size.height, config.tile_size.width)).sum().backward()
    unused = sum(parameter.numel() for parameter in encoder.parameters() if parameter.grad is None)
    model = MINI.replace(encoder=config, projector="linear", candidate_resolutions=(config.tile_size,))
    assert describe(model).parameters["encoder"].unused == unused
    assert describe(model).parameters.unused == unused
