"""The presets: the released models as they are known, and a small one that runs and trains."""

from typing import Any

import pytest
import torch
from torch import nn

import vlkit
from tests.small_models import batch_of, draw_weights, sample
from vlkit.errors import ConfigError
from vlkit.models.deepseek_vl.presets import presets
from vlkit.notation import Grid


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize(
    ("preset", "encoder", "projector", "decoder", "cached_bytes"),
    [
        ("deepseek-vl-1.3b", 316_283_904, 6_295_552, 1_652_656_128, 196_608),
        ("deepseek-vl-7b", 412_644_609, 20_979_712, 6_910_365_696, 491_520),
    ],
)
def test_sizes_of_the_released_models(
    preset: str, encoder: int, projector: int, decoder: int, cached_bytes: int
) -> None:
    model = vlkit.build(preset, device="meta")
    assert type(model) is vlkit.DeepseekVL
    assert count(model.encoder) == encoder
    assert count(model.projector) == projector
    assert count(model.layout) == 0
    assert count(model.decoder) == decoder
    assert 2 * model.config.decoder.cached_values() == cached_bytes


def published(preset: str) -> Any:
    """The same model in the transformers library, without numbers."""
    transformers = pytest.importorskip("transformers")
    large = preset == "deepseek-vl-7b"
    text = {"vocab_size": 102400, "max_position_embeddings": 16384, "tie_word_embeddings": False}
    text |= (
        {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 30, "num_attention_heads": 32}
        if large
        else {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 24, "num_attention_heads": 16}
    )
    vision = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "image_size": 384,
        "patch_size": 16,
        "vision_use_head": False,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
    }
    sections = {"text_config": text, "vision_config": vision, "tie_word_embeddings": False}
    with torch.device("meta"):
        if large:
            config = transformers.DeepseekVLHybridConfig(**sections)
            return transformers.DeepseekVLHybridForConditionalGeneration(config)
        return transformers.DeepseekVLForConditionalGeneration(transformers.DeepseekVLConfig(**sections))


@pytest.mark.parametrize("preset", ["deepseek-vl-1.3b", "deepseek-vl-7b"])
def test_transformers_has_the_same_weights_but_those_that_nothing_uses(preset: str) -> None:
    model = vlkit.build(preset, device="meta")
    idle = sum(map(count, model.encoder.idle_modules()))
    assert count(published(preset)) == count(model) - idle


def test_one_view_of_576_tokens_whatever_the_picture() -> None:
    for name in ("deepseek-vl-1.3b", "deepseek-vl-7b"):
        config = presets[name]
        assert config.grid == Grid(24, 24)
        for size in ((384, 384), (1, 5000), (3000, 20)):
            for crop in (None, True, False):
                assert config.image_tokens(size, crop=crop, images=3) == 576


def test_presets_are_configs_of_the_family_and_the_released_ones_have_the_official_form() -> None:
    for name, config in presets.items():
        assert type(config) is vlkit.DeepseekVLConfig
        assert vlkit.presets[name] is config
        assert vlkit.resolve_config(config.model_dump(mode="json")) == config
    with pytest.raises(ConfigError, match="neck_grid"):
        presets["mini-vl"].to_hf()


def test_the_description_tells_what_is_known_of_the_larger_model() -> None:
    text = str(vlkit.describe("deepseek-vl-7b", image_sizes=[(1024, 768)], prompt_tokens=64))
    for part in ("7,343,990,017", "576 image + 64 text", "491,520 B per token", "13.68 GiB"):
        assert part in text


def small() -> tuple[vlkit.VLM, dict[str, torch.Tensor]]:
    """The small preset with random numbers, a text with two pictures and a text without."""
    model = vlkit.build("mini-vl")
    draw_weights(model, 0)
    config = model.config
    samples = [sample(config, [2, 3, 4], [Grid(1, 1), Grid(1, 1)], 1), sample(config, [20], [], 2)]
    return model.eval(), batch_of(samples, config)


def test_the_small_preset_answers() -> None:
    model, batch = small()
    ids = model.generate(**batch, max_new_tokens=4, eos_token_id=())
    assert ids.shape == (2, 4)
    assert count(model) < 10**6


def test_the_small_preset_learns_a_batch_by_heart() -> None:
    model, batch = small()
    model.train()
    labels = batch["input_ids"].masked_fill(~batch["attention_mask"] | batch["images_seq_mask"], -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        out = model(**batch, labels=labels, logits_to_keep=0)
        optimizer.zero_grad()
        out.loss.backward()
        optimizer.step()
        losses.append(out.loss.item())
    assert losses[-1] < losses[0] / 2
    still = {name for name, weight in model.named_parameters() if weight.grad is None}
    idle = {id(weight) for module in model.encoder.idle_modules() for weight in module.parameters()}
    assert still == {name for name, weight in model.named_parameters() if id(weight) in idle}
    assert out.aux_loss is None
