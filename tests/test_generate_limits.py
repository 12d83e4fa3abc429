"""Limits of generation: context, numbers and tokens out of range are refused before a layer runs."""

from typing import Any

import pytest
import torch

import vlkit
from tests.refusal import refuse_to_run
from tests.small_models import random_model
from vlkit.decoders import DeepseekV2Config
from vlkit.errors import ConfigError, ContextLengthError, InputError, VlkitError
from vlkit.models.deepseek_vl2.model import DeepseekVLV2


def small_context() -> DeepseekVLV2:
    mini = vlkit.presets["mini"]
    return random_model(mini.replace(decoder=mini.decoder.replace(max_position_embeddings=8)), 0)


@pytest.mark.parametrize(
    ("length", "settings", "message"),
    [
        (9, {"max_new_tokens": 1}, r"9 positions[\s\S]*has 8 \(max_position_embeddings\)[\s\S]*shorten the text"),
        (9, {"max_new_tokens": 0}, "9 positions"),
        (
            6,
            {"max_new_tokens": 4},
            r"6 positions and max_new_tokens 4[\s\S]*at most 8[\s\S]*to 3 or less",
        ),
        (8, {"max_new_tokens": 2}, "8 positions and max_new_tokens 2"),
        (3, {}, "max_new_tokens 64"),
    ],
)
def test_more_than_the_context_is_refused_before_a_layer_runs(
    length: int, settings: dict[str, Any], message: str
) -> None:
    model = small_context()
    for part in (model.encoder, model.decoder.get_submodule("layers.0")):
        part.register_forward_pre_hook(refuse_to_run)
    with pytest.raises(ContextLengthError, match=message):
        model.generate(input_ids=torch.full((1, length), 7), **settings)
    if length > 8:
        with pytest.raises(ContextLengthError, match=message):
            model.incremental_prefilling(input_ids=torch.full((1, length), 7), chunk_size=4)


@pytest.mark.parametrize("length", [1, 6, 8])
def test_the_whole_context_can_be_used(length: int) -> None:
    ids = small_context().generate(input_ids=torch.full((1, length), 7), max_new_tokens=9 - length, eos_token_id=())
    assert ids.shape == (1, 9 - length)


@pytest.mark.parametrize(
    ("settings", "message", "error"),
    [
        ({"max_new_tokens": "5"}, r"max_new_tokens is '5'[\s\S]*whole number, 0 or more", InputError),
        ({"max_new_tokens": -1}, "max_new_tokens is -1", InputError),
        ({"chunk_size": 0}, r"chunk_size is 0[\s\S]*1 or more", InputError),
        ({"chunk_size": 2.5}, r"chunk_size is 2\.5", InputError),
        ({"eos_token_id": "</s>"}, r"eos_token_id is '</s>'[\s\S]*0 to 639", InputError),
        ({"eos_token_id": 1.5}, r"eos_token_id is 1\.5", InputError),
        ({"eos_token_id": (1, 640)}, "eos_token_id is 640", InputError),
        ({"pad_token_id": -1}, "pad_token_id is -1", InputError),
        ({"temperature": -0.5}, "temperature: .*greater than or equal to 0", ConfigError),
        ({"top_p": 0.0}, "top_p: ", ConfigError),
        ({"cache": "ofload"}, "did you mean 'offload'", VlkitError),
        ({"cache": 3}, "int 3 names none of the cache_policies", VlkitError),
    ],
)
def test_settings_out_of_range_are_refused_before_a_layer_runs(
    settings: dict[str, Any], message: str, error: type[VlkitError]
) -> None:
    model = vlkit.build("mini")
    model.decoder.get_submodule("layers.0").register_forward_pre_hook(refuse_to_run)
    with pytest.raises(error, match=message):
        model.generate(input_ids=torch.full((1, 3), 7), **settings)


def test_end_tokens_of_a_config_that_the_vocabulary_lacks_never_occur() -> None:
    mini = vlkit.presets["mini"]
    decoder = mini.decoder
    assert isinstance(decoder, DeepseekV2Config)
    model = random_model(mini.replace(decoder=decoder.replace(eos_token_id=100001, pad_token_id=100002)), 0)
    prompt = torch.full((2, 3), 7)
    ids = model.generate(input_ids=prompt, max_new_tokens=6)
    assert torch.equal(ids, random_model(mini, 0).generate(input_ids=prompt, max_new_tokens=6, eos_token_id=()))
    end = int(ids[0, 2])
    assert model.generate(input_ids=prompt, max_new_tokens=6, eos_token_id=end).shape[1] <= 3
