"""The model: views of every mode, batches and what is saved."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn
from torch.testing import assert_close

import vlkit
from tests import tolerances
from tests.models.deepseek_ocr.drawn import small_ocr_configs
from tests.models.saved import config_in, same_weights
from tests.small_models import draw_weights, logits_of
from tests.strategies import seeds
from vlkit.decoders import DeepseekV2Config
from vlkit.models.deepseek_ocr.config import DeepseekOCRConfig
from vlkit.models.deepseek_ocr.model import DeepseekOCR
from vlkit.models.deepseek_ocr.modes import MODES
from vlkit.models.deepseek_ocr.processor import DeepseekOCRProcessor
from vlkit.models.family import NATIVE

MINI = vlkit.presets["mini-ocr"]


def random_ocr(config: DeepseekOCRConfig = MINI, seed: int = 0, *, dtype: torch.dtype = torch.float32) -> DeepseekOCR:
    model = vlkit.build(config, dtype=dtype)
    draw_weights(model, seed)
    assert isinstance(model, DeepseekOCR)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> DeepseekOCR:
    return random_ocr(dtype=torch.float64)


@pytest.fixture(scope="module")
def processor() -> DeepseekOCRProcessor:
    return DeepseekOCRProcessor.for_model(MINI)


def near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert_close(actual, expected, rtol=0, atol=tolerance)


def picture(width: int, height: int) -> Image.Image:
    return Image.linear_gradient("L").convert("RGB").resize((width, height))


@torch.no_grad()
@pytest.mark.parametrize("mode", MODES)
def test_one_model_reads_every_mode_as_the_model_of_that_mode(
    model: DeepseekOCR, processor: DeepseekOCRProcessor, mode: str
) -> None:
    of_mode = DeepseekOCR(MINI.at(mode)).double().eval()
    of_mode.load_state_dict(model.state_dict())
    batch = processor.at(mode)(prompt="<image>\nFree OCR.", images=[picture(900, 650)]).to(dtype=torch.float64)
    assert int(batch.images_seq_mask.sum()) == MINI.at(mode).image_tokens((900, 650))
    assert torch.equal(logits_of(model(**batch)), logits_of(of_mode(**batch)))


@torch.no_grad()
@pytest.mark.parametrize("mode", ["tiny", "gundam"])
def test_a_batch_is_its_samples(model: DeepseekOCR, processor: DeepseekOCRProcessor, mode: str) -> None:
    """Cut into many and few tiles, whole, two in one text, and none at all."""
    own = processor.at(mode)
    texts = ["<image>\nFree OCR.", "<image>\nOCR.", "<image>", "<image> and <image>", "No picture."]
    pictures = [[picture(900, 650)], [picture(300, 1000)], [picture(200, 300)], [picture(650, 650)] * 2, []]
    batch = own(prompt=texts, images=pictures).to(dtype=torch.float64)
    out = model(**batch)
    for row, (text, images) in enumerate(zip(texts, pictures, strict=True)):
        alone = own(prompt=text, images=images).to(dtype=torch.float64)
        length = alone.input_ids.shape[1]
        single = model(**alone)
        near(out.inputs_embeds[row, -length:], single.inputs_embeds[0], tolerances.EXACT)
        near(logits_of(out)[row, -length:], logits_of(single)[0], tolerances.ROTATED)
    ids = model.generate(**batch, max_new_tokens=3, eos_token_id=())
    assert ids.shape == (5, 3)


@settings(max_examples=15)
@given(small_ocr_configs(), seeds, st.data())
def test_what_is_saved_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, config: DeepseekOCRConfig, seed: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("saved")
    model = random_ocr(config, seed, dtype=data.draw(st.sampled_from([torch.float32, torch.bfloat16])))
    vlkit.save_pretrained(model, folder, max_shard_size=data.draw(st.sampled_from(["1GB", "9KB"])))
    again = vlkit.from_pretrained(folder)
    assert type(again) is DeepseekOCR
    assert same_weights(again, model)
    content = config_in(folder)
    if NATIVE in content:
        assert again.config == config
    else:
        assert content["architectures"] == ["DeepseekOCRForCausalLM"]
        assert content == config.to_hf() | {"torch_dtype": str(model.dtype).removeprefix("torch.")}
        assert DeepseekOCRConfig.from_hf(folder).to_hf() == config.to_hf()


def test_a_tied_head_is_written_and_read_once(tmp_path: Path) -> None:
    assert isinstance(MINI.decoder, DeepseekV2Config)
    model = random_ocr(MINI.replace(decoder=MINI.decoder.replace(tie_word_embeddings=True)))
    vlkit.save_pretrained(model, tmp_path)
    assert config_in(tmp_path)["tie_word_embeddings"] is True
    assert same_weights(vlkit.from_pretrained(tmp_path), model)


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_sizes_of_the_released_model() -> None:
    model = vlkit.build("deepseek-ocr", device="meta")
    assert count(model.projector) == 2048 * 1280 + 1280
    assert count(model.decoder) == count(vlkit.build("deepseek-vl2-tiny", device="meta").decoder)
    assert sum(map(count, model.encoder.idle_modules())) == 1024 * 3 * 14 * 14
    assert (model.config.decoder.max_positions, 2 * model.config.decoder.cached_values()) == (8192, 61_440)
    assert count(random_ocr()) < 10**6


@pytest.mark.parametrize("mode", MODES)
def test_descriptions_count_the_views_of_the_mode(mode: str) -> None:
    config = vlkit.presets["deepseek-ocr"].at(mode)
    size = (1500, 900)
    (picture,) = vlkit.describe(config, image_sizes=[size]).pictures
    tiles = config.layout.tile_count(config.tiling(size).grid)
    views = [config.tile_size] * tiles + [config.tiling(size).overview]
    assert (picture.tokens, picture.views) == (config.image_tokens(size), len(views))
    assert picture.flops == sum(map(config.encoder.forward_flops, views))


def test_a_small_model_learns_a_page_by_heart(processor: DeepseekOCRProcessor) -> None:
    model = random_ocr().train()
    page = [
        {"role": "<|User|>", "content": "<image>\nFree OCR.", "images": [picture(700, 500)]},
        {"role": "<|Assistant|>", "content": "Hello"},
    ]
    batch = processor.at("tiny")(conversations=page, inference_mode=False)
    assert processor.decode(batch.labels[0, -6:]) == "Hello" + processor.tokenizer.names["eos_token"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        out = model(**batch, logits_to_keep=0)
        optimizer.zero_grad()
        (out.loss + out.aux_loss).backward()
        optimizer.step()
        losses.append(out.loss.item())
    assert losses[-1] < losses[0] / 2
    still = {name for name, weight in model.named_parameters() if weight.grad is None}
    assert still == {"encoder.clip.embeddings.patch_embedding.weight"}
