"""What a decoder's config tells without weights, and what an open contract says."""

import pytest
import torch

from vlkit.decoders import (
    Decoder,
    DecoderConfig,
    DeepseekV2Config,
    DynamicScaling,
    LinearScaling,
    YarnScaling,
    decoders,
)
from vlkit.decoders.base import DecoderOutput
from vlkit.errors import ContextLengthError


def test_a_released_decoder_is_described_by_its_config() -> None:
    config = DeepseekV2Config()
    assert (config.dim, config.num_layers, config.vocabulary, config.max_positions) == (2048, 27, 102400, 4096)
    assert config.cached_values() * 2 == 31_104


def test_scaling_stretches_or_lifts_the_longest_sequence() -> None:
    config = DeepseekV2Config(max_position_embeddings=100)
    assert config.replace(rope_scaling=LinearScaling(factor=2.5)).max_positions == 250
    assert config.replace(rope_scaling=DynamicScaling(factor=2.5)).max_positions is None
    assert config.replace(rope_scaling=YarnScaling(factor=2.5)).max_positions == 100


@pytest.mark.parametrize(("ids", "stops"), [(None, ()), (1, (1,)), ((1, 2), (1, 2)), ((), ())])
def test_stop_ids_are_always_a_tuple(ids: int | tuple[int, ...] | None, stops: tuple[int, ...]) -> None:
    assert DeepseekV2Config(eos_token_id=ids).stop_ids == stops


@pytest.mark.parametrize("name", ["dim", "num_layers", "vocabulary"])
def test_a_decoder_config_that_leaves_something_open_says_what(name: str) -> None:
    with pytest.raises(NotImplementedError, match=f"DecoderConfig defines {name}"):
        getattr(DecoderConfig(type="open"), name)


def test_context_is_refused_beyond_the_limit_and_only_there() -> None:
    with torch.device("meta"):
        decoder: Decoder = decoders.build(
            DeepseekV2Config(num_hidden_layers=1, max_position_embeddings=8, vocab_size=4)
        )
    decoder.require_context(8)
    with pytest.raises(ContextLengthError, match=r"9 positions\n.*8 \(max_position_embeddings\)\n.*remedy"):
        decoder.require_context(9)


def test_an_output_holds_only_what_was_asked_for() -> None:
    output = DecoderOutput(torch.zeros(1))
    assert (output.hidden_states, output.routings, output.aux_loss) == ((), None, None)
