"""No adapter stands beside a layer whose weights are read without calling it."""

from typing import Any

import hypothesis
import torch
from hypothesis import given
from torch import nn

import vlkit
from tests.random_assemblies import random_assemblies
from vlkit.errors import ConfigError
from vlkit.training import LoraConfig, PartTraining, reached_layers
from vlkit.vlm_config import VLMConfig


@hypothesis.settings(max_examples=25)
@given(random_assemblies())
def test_reached_layers_are_called(fields: dict[str, Any]) -> None:
    try:
        config = VLMConfig.model_validate(fields)
    except ConfigError:
        return
    model = vlkit.build(config).eval()
    tiling = config.tiling((40, 30))
    tokens, tiles = config.image_tokens((40, 30)), config.layout.tile_count(tiling.grid)
    called: set[str] = set()
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda *_, name=name: called.add(name))
    ids = torch.full((1, tokens + 2), 5)
    views = torch.randn(1, 1 + tiles, 3, config.tile_size.height, config.tile_size.width)
    inputs: dict[str, Any] = {"images": views}
    if config.global_view_size is not None:
        overview = torch.randn(1, 1, 3, *config.global_view_size[::-1])
        inputs = {"images": views[:, 1:], "global_views": overview}
    out = model(
        input_ids=ids,
        labels=ids,
        images_seq_mask=torch.arange(tokens + 2)[None] < tokens,
        images_spatial_crop=torch.tensor([[tiling.grid[::-1]]]),
        **inputs,
    )
    out.loss.backward()
    for part in ("encoder", "projector", "decoder"):
        try:
            names = reached_layers(model, {part: PartTraining(lora=LoraConfig())})[part]
        except ConfigError:  # convolutions only
            continue
        gradients = {name: model.get_parameter(f"{name}.weight").grad for name in names}
        used = {name for name, gradient in gradients.items() if gradient is not None and bool(gradient.any())}
        assert used <= called
        hypothesis.event(f"{part}: {len(used) > 0}")
