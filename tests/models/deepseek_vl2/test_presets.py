"""The presets: the released models as they are known, and small ones that run and train."""

import pytest
import torch
from torch import nn

import vlkit
from tests.small_models import Case, random_model, sample
from vlkit.decoders import DeepseekV2Config
from vlkit.models.deepseek_vl2.config import DeepseekVLV2Config
from vlkit.models.deepseek_vl2.presets import presets
from vlkit.nn.balance import expert_load, update_correction_bias
from vlkit.nn.moe import MoE
from vlkit.notation import Grid
from vlkit.tiling import official_resolutions

OFFICIAL_RESOLUTIONS = (
    "384,384 384,768 768,384 384,1152 1152,384 384,1536 1536,384 768,768 384,1920 1920,384 384,2304 2304,384 768,1152 "
    "1152,768 384,2688 2688,384 384,3072 3072,384 768,1536 1536,768 384,3456 3456,384 1152,1152"
)


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize(
    ("preset", "projector", "language", "cached_bytes"),
    [
        ("deepseek-vl2-tiny", 7_539_200, 2_934_734_080, 61_440),
        ("deepseek-vl2-small", 13_635_584, 15_706_484_224, 31_104),
        ("deepseek-vl2", 18_355_200, 27_033_548_328, 34_560),
    ],
)
def test_sizes_of_the_released_models(preset: str, projector: int, language: int, cached_bytes: int) -> None:
    model = vlkit.build(preset, device="meta")
    assert count(model.encoder) == 428_225_600
    assert count(model.projector) == projector
    assert count(model.decoder) == language
    assert count(model.layout) == 2 * model.config.decoder.dim
    assert 2 * model.config.decoder.cached_values() == cached_bytes


def test_the_released_models_tile_pictures_alike() -> None:
    known = tuple(tuple(map(int, pair.split(","))) for pair in OFFICIAL_RESOLUTIONS.split())
    assert official_resolutions(384) == known
    for name in ("deepseek-vl2-tiny", "deepseek-vl2-small", "deepseek-vl2"):
        assert vlkit.presets[name].candidate_resolutions == known


def test_presets_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        vlkit.presets["mini"] = vlkit.presets["mini-dense"]  # type: ignore[index]


def small(name: str) -> Case:
    """A small preset with random numbers, a text with a picture and a text without."""
    config = vlkit.presets[name]
    model = random_model(config, 0, dtype=torch.float32)
    return Case(model, [sample(config, [2, 6], [Grid(1, 2)], 1), sample(config, [40], [], 2)])


@pytest.mark.parametrize("name", ["mini", "mini-dense"])
def test_small_presets_answer(name: str) -> None:
    case = small(name)
    ids = case.model.generate(**case.batch, max_new_tokens=4, eos_token_id=())
    assert ids.shape == (2, 4)
    assert count(case.model) < 10**6


@pytest.mark.parametrize("name", ["mini", "mini-dense"])
def test_small_presets_learn_a_batch_by_heart(name: str) -> None:
    case = small(name)
    model, batch = case.model.train(), case.batch
    labels = batch["input_ids"].masked_fill(~batch["attention_mask"] | batch["images_seq_mask"], -100)
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=3e-3)
    losses = []
    for _ in range(8):
        out = model(**batch, labels=labels, logits_to_keep=0, output_routing=True)
        optimizer.zero_grad()
        (out.loss if out.aux_loss is None else out.loss + out.aux_loss).backward()
        optimizer.step()
        losses.append(out.loss.item())
    assert losses[-1] < losses[0] / 2
    still = {name for name, weight in model.named_parameters() if weight.grad is None}
    unused = ("encoder.attn_pool.", "router.e_score_correction_bias")
    assert still == {name for name, _ in model.named_parameters() if any(part in name for part in unused)}
    decoder = model.config.decoder
    assert isinstance(decoder, DeepseekV2Config)
    assert (out.aux_loss is not None) == (decoder.moe is not None) == (name == "mini")


def test_the_bias_rule_moves_choices_towards_idle_experts() -> None:
    case = small("mini")
    case.model.train()
    out = case.model(**case.batch, output_routing=True)
    layer = case.model.decoder.get_submodule("layers.1.mlp")
    assert isinstance(layer, MoE)
    load = expert_load(out.routings[1], case.batch["attention_mask"].flatten())
    assert load.sum() == 2 * case.batch["attention_mask"].sum()
    before = layer.router.e_score_correction_bias.clone()
    for _ in range(200):
        update_correction_bias(layer.router, load, speed=0.01)
    moved = layer.router.e_score_correction_bias - before
    assert torch.equal(moved.sign(), (load.mean() - load).sign())
    out = case.model(**case.batch, output_routing=True)
    again = expert_load(out.routings[1], case.batch["attention_mask"].flatten())
    assert again[load.argmax()] < load.max()


def test_presets_are_configs_of_the_official_form() -> None:
    for config in presets.values():
        assert type(config) is DeepseekVLV2Config
        assert DeepseekVLV2Config.from_hf(config.to_hf()) == config
