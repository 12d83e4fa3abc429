"""A processor for any assembled model, and folders that hold both."""

from pathlib import Path

import pytest
import torch
from PIL import Image

import vlkit
from vlkit.errors import ConfigError
from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor
from vlkit.notation import Size
from vlkit.processing import Tokenizer

ASK = [{"role": "<|User|>", "content": "<image>\nWhat is it?"}, {"role": "<|Assistant|>", "content": ""}]
BUILDER = vlkit.DeepseekVLV2Builder("mini")
ODD = BUILDER.encoder("siglip", image_size=(56, 84), patch_size=14).candidate_resolutions(
    (56, 84), (112, 84), (56, 168)
)
CONFIGS = {
    "2D": BUILDER.config,
    "tail": BUILDER.layout("2D", global_view="tail").config,
    "1D": BUILDER.layout("1D").config,
    "no downsampling": BUILDER.projector("linear").config,
    "oblong tiles": ODD.config,
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_counts_tokens_as_the_model_and_fits_it(config: vlkit.DeepseekVLV2Config) -> None:
    processor = DeepseekVLV2Processor.for_model(config)
    assert processor.grid == config.grid
    for size in (Size(30, 40), Size(200, 100), Size(500, 30)):
        assert processor.plan(size).num_tokens == config.image_tokens(size)
    batch = processor(conversations=ASK, images=[Image.new("RGB", (200, 100))])
    assert vlkit.build(config)(**batch).logits is not None


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_folder_of_model_and_processor_gives_both_back(config: vlkit.DeepseekVLV2Config, tmp_path: Path) -> None:
    model, processor = vlkit.build(config), DeepseekVLV2Processor.for_model(config)
    vlkit.save_pretrained(model, tmp_path, processor=processor)
    loaded = DeepseekVLV2Processor.from_pretrained(tmp_path)
    assert (loaded.config, loaded.layout, loaded.grid) == (processor.config, config.layout, config.grid)
    picture = Image.linear_gradient("L").resize((150, 90))
    theirs, ours = (each(conversations=ASK, images=[picture]) for each in (loaded, processor))
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)
    assert torch.equal(vlkit.from_pretrained(tmp_path)(**theirs).logits, model.eval()(**ours).logits)


def test_vlkits_own_config_gives_layout_and_grid_that_the_official_one_cannot(tmp_path: Path) -> None:
    config = ODD.layout("1D", max_tiles=7).config
    processor = DeepseekVLV2Processor.for_model(config)
    vlkit.save_pretrained(vlkit.build(config), tmp_path, processor=processor)
    assert '"vlkit"' in (tmp_path / "config.json").read_text()
    loaded = DeepseekVLV2Processor.from_pretrained(tmp_path)
    assert (loaded.layout, loaded.grid) == (config.layout, config.grid)


def test_tokenizer_beyond_the_vocabulary_is_refused() -> None:
    small = BUILDER.decoder("deepseek_v2", vocab_size=266).config
    with pytest.raises(ConfigError, match="ids up to 266, the decoder 266") as error:
        DeepseekVLV2Processor.for_model(small)
    assert error.value.remedy and "267" in error.value.remedy
    exact = BUILDER.decoder("deepseek_v2", vocab_size=267).config
    assert DeepseekVLV2Processor.for_model(exact).tokenizer.last_id == 266
    fewer = Tokenizer.of_bytes(tokens=["<image>"])
    assert DeepseekVLV2Processor.for_model(small, fewer).tokenizer is fewer
