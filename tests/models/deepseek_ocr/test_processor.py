"""The processor gives what the official one gives, in every mode; and its laws."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import PIL
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import vlkit
from tests.models.deepseek_ocr.drawn import OWN
from tests.models.deepseek_ocr.released import PROCESSOR, RELEASED
from tests.parity import GOLDEN
from vlkit.errors import ConfigError, ContextLengthError, InputError
from vlkit.files import write_json
from vlkit.models.deepseek_ocr.modes import MODES, ResolutionMode
from vlkit.models.deepseek_ocr.processor import TOKENS, DeepseekOCRProcessor, DeepseekOCRProcessorConfig
from vlkit.notation import Size
from vlkit.processing import Tokenizer
from vlkit.processing.processor import Processor
from vlkit.tiling import select_closest_ratio

CASE = GOLDEN / "c4p_ocr_processor"
SAMPLES: list[dict[str, Any]] = json.loads((CASE / "samples.json").read_text())
COUNTS: list[dict[str, Any]] = json.loads((CASE / "token_counts.json").read_text())
CHOICES: dict[str, Any] = json.loads((CASE / "crop_choice.json").read_text())
STORED = load_file(CASE / "expected.safetensors") if (CASE / "expected.safetensors").exists() else {}
PILLOW_13 = int(PIL.__version__.split(".")[0]) >= 13
PROMPT = "<image>\nFree OCR."


@pytest.fixture(scope="module")
def released() -> DeepseekOCRProcessor:
    """With the settings of the released files, and a tokenizer of bytes."""
    return DeepseekOCRProcessor(Tokenizer.of_bytes(TOKENS), DeepseekOCRProcessorConfig())


def digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


def hashes(sample: dict[str, Any], name: str) -> set[str]:
    """SHA-256 that pixels may have: Pillow 13 resamples some pictures differently."""
    newer = {sample[key] for key in (f"{name}_sha256_float32_pillow13",) if key in sample}
    return newer if newer and PILLOW_13 else {sample[f"{name}_sha256_float32"]}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["name"])
def test_pixels_are_the_official_ones_to_the_last_bit(sample: dict[str, Any], released: DeepseekOCRProcessor) -> None:
    mode = ResolutionMode(base_size=sample["base_size"], image_size=sample["image_size"], crop_mode=sample["cropping"])
    batch = released.at(mode)(prompt=PROMPT, images=[CASE / "images" / sample["image"]])
    assert batch.global_views is not None
    assert batch.images_spatial_crop.tolist() == [[sample["crop"]]]
    assert batch.num_image_tokens == [[sample["num_image_tokens"]]]
    assert int(batch.images_seq_mask.sum()) == sample["num_image_tokens"]
    assert list(batch.global_views[0].shape) == sample["pixel_values_shape"]
    assert digest(batch.global_views[0]) in hashes(sample, "pixel_values")
    if sample["images_crop_all_zero"]:
        assert batch.images.shape[1] == 0
    else:
        assert list(batch.images.shape) == sample["images_crop_shape"]
        assert digest(batch.images) in hashes(sample, "images_crop")
    for name, pixels in {"pixel_values": batch.global_views[0, 0], "images_crop": batch.images[0]}.items():
        newer = f"{sample['name']}/{name}_u8_pillow13"
        stored = newer if PILLOW_13 and newer in STORED else f"{sample['name']}/{name}_u8"
        if stored in STORED and len(pixels):
            assert torch.equal(pixels, (STORED[stored].float() / 255 - 0.5) / 0.5)


@pytest.mark.parametrize("case", COUNTS, ids=lambda case: f"{case['mode']}-{case['width']}x{case['height']}")
def test_tokens_and_tiles_of_the_modes_are_the_official_ones(
    case: dict[str, Any], released: DeepseekOCRProcessor
) -> None:
    size, mode = (case["width"], case["height"]), case["mode"].lower()
    plan = released.at(mode).plan(size)
    assert plan.num_tokens == case["num_image_tokens"] == vlkit.presets["deepseek-ocr"].at(mode).image_tokens(size)
    assert list(plan.tiling.grid[::-1]) == case["crop"]


@pytest.mark.parametrize(("column", "most", "least", "side"), [(2, 6, 2, 640), (3, 9, 2, 640), (5, 6, 2, 112)])
def test_the_choice_of_tiles_is_the_official_one(column: int, most: int, least: int, side: int) -> None:
    """Also of pictures that are small enough to stay whole, for which the choice is not asked."""
    mode = ResolutionMode(base_size=1024, image_size=side, crop_mode=True, max_crops=most)
    candidates = mode.fields["candidate_resolutions"]
    assert len(candidates) == 1 + len(CHOICES[f"candidates_{least}_{most}"])
    assert len(CHOICES["rows"]) == 247
    for row in CHOICES["rows"]:
        across, down = select_closest_ratio((row[0], row[1]), candidates[1:], (side, side))
        assert [across // side, down // side] == row[column]


@settings(max_examples=60)
@given(width=st.integers(1, 1500), height=st.integers(1, 1500), mode=st.sampled_from([*MODES, "own"]))
def test_planned_count_equals_places_and_pixels(
    released: DeepseekOCRProcessor, width: int, height: int, mode: str
) -> None:
    own = released.at(OWN if mode == "own" else mode)
    plan = own.plan((width, height))
    batch = own(prompt="a <image> b", images=[Image.new("RGB", (width, height))])
    assert int(batch.images_seq_mask.sum()) == plan.num_tokens == batch.num_image_tokens[0][0]
    assert (batch.input_ids[batch.images_seq_mask] == own.image_token_id).all()
    assert batch.tilings == [[plan.tiling]]
    tiles = plan.tiling.grid.area
    assert batch.images.shape[1] == (tiles if tiles > 1 else 0)
    assert batch.global_views is not None
    assert batch.global_views.shape[1] == 1
    assert batch.images_spatial_crop.tolist() == [[[plan.tiling.grid.cols, plan.tiling.grid.rows]]]


def test_a_prompt_is_one_first_token_and_plain_text(released: DeepseekOCRProcessor) -> None:
    own, tokenizer = released.at("tiny"), released.tokenizer
    picture = Image.new("RGB", (30, 20))
    batch = own(prompt="<image>\nFree OCR. ", images=[picture])
    ids = batch.input_ids[0].tolist()
    assert ids == [tokenizer.bos_id] + [own.image_token_id] * 73 + tokenizer.encode("\nFree OCR. ")
    stripped = own(prompt=PROMPT, images=[picture])
    asked = [{"role": "<|User|>", "content": "<image>\nFree OCR. "}, {"role": "<|Assistant|>", "content": ""}]
    carried = [asked[0] | {"images": [picture]}, asked[1]]
    parts = [{"type": "image", "image": picture}, {"type": "text", "text": "Free OCR."}]
    for other in (
        own(conversations=asked, images=[picture]),
        own(conversations=carried),
        own(messages=[{"role": "user", "content": parts}]),
        own(prompt=PROMPT, images=[picture], apply_sft_format=True),
    ):
        assert all(torch.equal(other[name], stripped[name]) for name in stripped if name != "labels")
        assert other.sft_format == [PROMPT]


def test_answers_are_learned_and_ended(released: DeepseekOCRProcessor) -> None:
    own = released.at("tiny")
    turns = [{"role": "<|User|>", "content": PROMPT}, {"role": "<|Assistant|>", "content": "Text."}]
    batch = own(conversations=turns, images=[Image.new("RGB", (9, 9))], inference_mode=False)
    learned = batch.labels[0][batch.labels[0] != -100].tolist()
    assert learned == [own.tokenizer.bos_id, *own.tokenizer.encode("Text."), own.tokenizer.eos_id]


def test_a_batch_is_its_samples(released: DeepseekOCRProcessor) -> None:
    texts, sizes = [PROMPT, "<image><image>", "None."], [[(900, 650)], [(200, 300), (650, 650)], []]
    images = [[Image.new("RGB", size, "red") for size in row] for row in sizes]
    batch = released(prompt=texts, images=images)
    assert batch.global_views is not None
    assert batch.images.shape == (3, 6, 3, 640, 640)
    assert batch.global_views.shape == (3, 2, 3, 1024, 1024)
    assert batch.images_spatial_crop.tolist() == [[[3, 2], [0, 0]], [[1, 1], [2, 2]], [[0, 0], [0, 0]]]
    for row, (text, own) in enumerate(zip(texts, images, strict=True)):
        alone = released(prompt=text, images=own)
        assert alone.global_views is not None
        length, tiles, views = alone.input_ids.shape[1], alone.images.shape[1], alone.global_views.shape[1]
        for name in ("input_ids", "labels", "images_seq_mask", "attention_mask"):
            assert torch.equal(batch[name][row, -length:], alone[name][0])
        assert torch.equal(batch.images[row, :tiles], alone.images[0])
        assert torch.equal(batch.global_views[row, :views], alone.global_views[0])
        assert not batch.images[row, tiles:].any()
        assert not batch.global_views[row, views:].any()
    half = batch.to(dtype=torch.bfloat16)
    assert half.images.dtype == half["global_views"].dtype == torch.bfloat16
    assert half.input_ids.dtype == torch.int64


def test_crop_says_it_outright(released: DeepseekOCRProcessor) -> None:
    assert released.plan((2000, 900), crop=False).num_tokens == 273
    assert released.plan((600, 400), crop=True).tiling.grid.area > 1
    assert released.at("large").plan((2000, 900), crop=True).num_tokens == 421


def test_a_photo_is_turned_as_its_camera_held_it(released: DeepseekOCRProcessor) -> None:
    """Unlike DeepSeek-VL2's, the official code applies the EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    photo, data = Image.linear_gradient("L").convert("RGB").resize((300, 100)), io.BytesIO()
    photo.save(data, "JPEG", exif=exif.tobytes(), quality=100)
    with Image.open(io.BytesIO(data.getvalue())) as stored:
        pixels, decoded = stored.convert("RGB"), stored.copy()
        upright = Image.frombytes("RGB", pixels.size, pixels.tobytes()).transpose(Image.Transpose.ROTATE_270)
    own = released.at("base")
    right = own(prompt="<image>", images=[upright])
    for form in (data.getvalue(), decoded, pixels):
        turned = own(prompt="<image>", images=[form])
        assert turned.tilings[0][0].image_size == Size(100, 300)
        assert torch.equal(turned["global_views"], right["global_views"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The small files of the released checkpoint, with a tokenizer of bytes."""
    Tokenizer.of_bytes(TOKENS).save(tmp_path)
    write_json(tmp_path / "processor_config.json", PROCESSOR)
    write_json(tmp_path / "config.json", RELEASED)
    return tmp_path


def test_the_released_files_are_read(folder: Path, released: DeepseekOCRProcessor) -> None:
    """The template that they name is DeepSeek-VL2's; the official code never uses it."""
    loaded = vlkit.load_processor(folder)
    assert isinstance(loaded, DeepseekOCRProcessor)
    assert loaded.config == DeepseekOCRProcessorConfig(mask_prompt=False)
    assert loaded.tokenizer.id_of("<|grounding|>") > loaded.image_token_id
    for size in ((300, 200), (1500, 1000)):
        assert loaded.plan(size) == released.plan(size)
    (folder / "config.json").unlink()
    assert DeepseekOCRProcessor.from_pretrained(folder).plan((1500, 1000)) == released.plan((1500, 1000))


def test_a_template_that_was_chosen_is_kept(folder: Path, tmp_path: Path) -> None:
    loaded = DeepseekOCRProcessor.from_pretrained(folder)
    chosen = DeepseekOCRProcessor(loaded.tokenizer, loaded.config.replace(sft_format="deepseek"))
    chosen.save_pretrained(tmp_path / "saved")
    again = DeepseekOCRProcessor.from_pretrained(tmp_path / "saved")
    assert again.config == chosen.config
    assert again(messages=[{"role": "user", "content": "Hi"}]).sft_format == ["<|User|>: Hi\n\n<|Assistant|>:"]
    write_json(folder / "processor_config.json", PROCESSOR | {"sft_format": "alignment"})
    assert DeepseekOCRProcessor.from_pretrained(folder).config.sft_format == "alignment"


@pytest.mark.parametrize("mode", [*MODES, OWN])
def test_a_mode_is_saved_with_the_processor(folder: Path, tmp_path: Path, mode: Any) -> None:
    loaded = DeepseekOCRProcessor.from_pretrained(folder)
    chosen = loaded.at(mode)
    chosen.save_pretrained(tmp_path / "saved")
    for keep_model in (True, False):
        if keep_model:
            write_json(tmp_path / "saved" / "config.json", RELEASED)
        else:
            (tmp_path / "saved" / "config.json").unlink()
        again = DeepseekOCRProcessor.from_pretrained(tmp_path / "saved")
        assert again.config == chosen.config
        for size in ((300, 200), (1500, 1000)):
            assert again.plan(size) == chosen.plan(size)
    assert loaded.config.mode is None


@pytest.mark.parametrize("mode", ["tiny", "gundam"])
def test_processor_of_a_model_has_its_mode_and_is_saved_with_it(tmp_path: Path, mode: str) -> None:
    config = vlkit.presets["mini-ocr"].at(mode)
    processor = DeepseekOCRProcessor.for_model(config)
    vlkit.save_pretrained(vlkit.build(config), tmp_path, processor=processor)
    again = vlkit.load_processor(tmp_path)
    assert isinstance(again, DeepseekOCRProcessor)
    assert again.config == processor.config
    for size in ((300, 200), (1500, 1000)):
        assert again.plan(size) == processor.plan(size)
        assert again.plan(size).num_tokens == config.image_tokens(size)
    pixels = DeepseekOCRProcessor(processor.tokenizer, processor.config).at(mode)
    assert pixels.plan((1500, 1000)).num_tokens == config.image_tokens((1500, 1000))


def test_an_own_encoder_gives_its_own_normalisation() -> None:
    config = vlkit.presets["mini-ocr"]
    sam = config.encoder.sam.replace(image_mean=(0.1, 0.2, 0.3), image_std=(0.4, 0.5, 0.6))
    own = DeepseekOCRProcessor.for_model(config.replace(encoder=config.encoder.replace(sam=sam)))
    assert (own.config.image_mean, own.config.image_std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert own.config.fill == (25, 51, 76)


def test_what_is_wrong_is_refused(released: DeepseekOCRProcessor, folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"'gundan' is no resolution mode; did you mean 'gundam'"):
        released.at("gundan")
    with pytest.raises(InputError, match="1 image tags for 0 images"):
        released(prompt=PROMPT)
    with pytest.raises(ContextLengthError, match="893 of them for 1 images"):
        released(prompt=PROMPT, images=[Image.new("RGB", (1500, 1000))], max_length=800)
    write_json(folder / "processor_config.json", PROCESSOR | {"image_sise": 640})
    with pytest.raises(ConfigError, match="no field 'image_sise'"):
        DeepseekOCRProcessor.from_pretrained(folder)
    small = vlkit.presets["mini-ocr"]
    with pytest.raises(ConfigError, match="the tokenizer has ids up to 264, the decoder 264"):
        DeepseekOCRProcessor.for_model(small.replace(decoder=small.decoder.replace(vocab_size=264)))


def test_it_is_a_processor_like_the_others(released: DeepseekOCRProcessor) -> None:
    assert isinstance(released, Processor)
    assert vlkit.DeepseekOCRProcessor is DeepseekOCRProcessor
