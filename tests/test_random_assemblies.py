"""Random parts side by side: either the config is refused, or the model runs; nothing in between."""

from typing import Any

import hypothesis
import torch
from hypothesis import given
from hypothesis import strategies as st

import vlkit
from tests.random_assemblies import ENCODERS, SUPPLIED, random_assemblies
from vlkit.decoders import decoders
from vlkit.encoders import encoders
from vlkit.errors import ConfigError
from vlkit.vlm_config import VLMConfig


def test_every_registered_part_is_drawn() -> None:
    assert set(decoders) == {"deepseek_v2", "hf_causal_lm"}
    assert set(encoders) == ENCODERS.keys() | SUPPLIED


@hypothesis.settings(max_examples=150)
@given(random_assemblies(), st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_parts_are_refused_on_the_config_or_work_together(fields: dict[str, Any], size: tuple[int, int]) -> None:
    try:
        config = VLMConfig.model_validate(fields)
    except ConfigError as error:
        hypothesis.event("refused: " + str(error).splitlines()[1][:60])
        return
    hypothesis.event(f"runs: {config.encoder.type}, {config.decoder.type}")
    tiling = config.tiling(size)
    tokens, tiles = config.image_tokens(size), config.layout.tile_count(tiling.grid)
    model = vlkit.build(config).eval()
    ids = torch.full((1, tokens + 2), 5)
    inputs: dict[str, Any] = {
        "images_seq_mask": torch.arange(tokens + 2)[None] < tokens,
        "images_spatial_crop": torch.tensor([[tiling.grid[::-1]]]),
    }
    views = torch.randn(1, 1 + tiles, 3, config.tile_size.height, config.tile_size.width)
    if config.global_view_size is None:
        inputs["images"] = views
    else:
        inputs["images"] = views[:, 1:]
        inputs["global_views"] = torch.randn(1, 1, 3, *config.global_view_size[::-1])
    with torch.no_grad():
        out = model(input_ids=ids, labels=ids, **inputs)
    assert out.logits is not None and out.logits.shape == (1, tokens + 2, config.decoder.vocabulary)
    assert out.logits.isfinite().all() and out.loss is not None
    assert VLMConfig.model_validate_json(config.model_dump_json()) == config
