"""Tokens are those that the published models take, operations those that torch counts."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import vlkit
from tests.description.drawn import DECODERS, PROJECTORS, siglips
from tests.description.pictures import picture_inputs
from vlkit.decoders import DeepseekV2Config, decoders
from vlkit.description import Description, describe
from vlkit.encoders import SigLIP, SigLIPConfig
from vlkit.errors import ContextLengthError
from vlkit.notation import Grid
from vlkit.projectors import (
    IdentityConfig,
    ProjectorConfig,
    projectors,
)

MINI = vlkit.presets["mini"]


@pytest.mark.parametrize(
    ("size", "tiles", "tokens"),
    [((384, 384), (1, 1), 421), ((1152, 1152), (3, 3), 2017), ((384, 3456), (9, 1), 2101), ((3456, 384), (1, 9), 1989)],
)
def test_pictures_take_the_published_number_of_tokens(
    size: tuple[int, int], tiles: tuple[int, int], tokens: int
) -> None:
    (picture,) = vlkit.describe("deepseek-vl2-small", image_sizes=[size]).pictures
    assert (picture.resolution, picture.tiles, picture.tokens, picture.scale) == (size, tiles, tokens, 1.0)
    assert picture.views == 1 + tiles[0] * tiles[1]


def counted_flops(run: Callable[[], Any]) -> int:
    """Operations that torch counts; with unfused attention, since it does not know the kernel of CPUs."""
    with (
        patch("vlkit.nn.attention.padded", lambda values, width: values),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
        torch.no_grad(),
    ):
        run()
    return counter.get_total_flops()


@given(siglips())
def test_encoder_runs_the_operations_it_tells(config: SigLIPConfig) -> None:
    pixels = torch.zeros(2, 3, config.tile_size.height, config.tile_size.width)
    assert counted_flops(lambda: SigLIP(config)(pixels)) == 2 * config.forward_flops(config.tile_size)


@given(PROJECTORS, st.integers(3, 5), st.integers(3, 5))
def test_projector_runs_the_operations_it_tells(config: ProjectorConfig, rows: int, cols: int) -> None:
    in_dim, out_dim = 6, 6 if isinstance(config, IdentityConfig) else 10
    projector = projectors.build(config, in_dim=in_dim, out_dim=out_dim)
    told = config.forward_flops(Grid(rows, cols), in_dim=in_dim, out_dim=out_dim)
    assert counted_flops(lambda: projector(torch.zeros(2, rows, cols, in_dim))) == 2 * told


@given(DECODERS, st.integers(1, 9), st.integers(0, 5))
def test_decoder_runs_the_operations_it_tells(config: DeepseekV2Config, new: int, past: int) -> None:
    assume(new + past > 1)  # with a single position torch turns a matrix product into a multiplication
    decoder = decoders.build(config).eval()
    cache = decoder.new_cache()
    with torch.no_grad():
        if past:
            decoder(torch.zeros(1, past, config.dim), cache=cache)
    counted = counted_flops(lambda: decoder(torch.zeros(1, new, config.dim), cache=cache))
    assert counted == config.forward_flops(new, past + new)


@pytest.mark.parametrize("name", ["mini", "mini-dense"])
def test_whole_model_runs_the_operations_that_are_told(name: str) -> None:
    config, model, size = vlkit.presets[name], vlkit.build(name).eval(), (150, 90)
    told = vlkit.describe(name, image_sizes=[size], prompt_tokens=7, new_tokens=1)
    inputs, cache = picture_inputs(config, size, prompt_tokens=7), model.decoder.new_cache()
    embeds: list[Tensor] = []
    seen = counted_flops(lambda: embeds.append(model.prepare_inputs_embeds(**inputs)))
    assert told.flops.encoder is not None and told.flops.projector is not None
    assert seen == told.flops.encoder + told.flops.projector
    assert told.flops.encoder == told.pictures[0].flops
    prefill = counted_flops(lambda: model(inputs_embeds=embeds[0], cache=cache, logits_to_keep=1))
    assert prefill == told.flops.prefill
    step = counted_flops(lambda: model(input_ids=torch.zeros(1, 1, dtype=torch.long), cache=cache))
    assert step == vlkit.describe(name, image_sizes=[size], prompt_tokens=7, new_tokens=2).flops.decode


@pytest.mark.parametrize("new_tokens", [10, 11, 12, 13])
def test_context_is_exceeded_exactly_where_generation_refuses(new_tokens: int) -> None:
    model: vlkit.VLM = vlkit.VLMBuilder(MINI).decoder("deepseek_v2", max_position_embeddings=20).build().eval()
    try:
        model.generate(input_ids=torch.ones(1, 10, dtype=torch.long), max_new_tokens=new_tokens, eos_token_id=())
        refused = False
    except ContextLengthError:
        refused = True
    told = described_tokens(new_tokens)
    assert told.context.exceeded == refused == any("exceed" in warning for warning in told.warnings)
    assert told.context.total == 10 + new_tokens


def described_tokens(count: int) -> Description:
    limited = MINI.replace(decoder=MINI.decoder.replace(max_position_embeddings=20))
    return describe(limited, prompt_tokens=10, new_tokens=count)


def test_a_decoder_without_limit_is_never_exceeded() -> None:
    free = MINI.decoder.replace(rope_scaling={"type": "dynamic", "factor": 2.0})
    told = describe(MINI.replace(decoder=free), prompt_tokens=10**9)
    assert told.warnings == () and "no limit" in str(told)
