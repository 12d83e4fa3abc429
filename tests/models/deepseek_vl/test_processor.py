"""The processor gives what the official one gives: pictures to the last bit, texts as one, files by their names."""

import hashlib
import json
from pathlib import Path
from typing import Any

import PIL
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

import vlkit
from tests.models.deepseek_vl.released import LARGE, SMALL
from vlkit.errors import CheckpointError, ConfigError, InputError, VlkitError
from vlkit.models.deepseek_vl.settings import DeepseekVLProcessorConfig
from vlkit.notation import Grid, Size
from vlkit.processing import Tokenizer
from vlkit.processing.batching import PaddingSide
from vlkit.processing.image import fitted
from vlkit.processing.templates import DEEPSEEK_VL, EOS

GOLDEN = Path(__file__).parents[2] / "golden"
PICTURES = GOLDEN / "c6p_vl_image_processor"
IMAGES = sorted((PICTURES / "images").iterdir())
SETTINGS: dict[str, dict[str, Any]] = json.loads((PICTURES / "processors.json").read_text())
HASHES: dict[str, str] = json.loads((PICTURES / "sha256.json").read_text())
REAL_HASHES: dict[str, str] = json.loads((PICTURES / "resized_u8_sha256_real_sizes.json").read_text())
PILLOW_13 = int(PIL.__version__.split(".")[0]) >= 13
TAG = "<image_placeholder>"
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)


def digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()


def expected(hashes: dict[str, str], name: str) -> str:
    """Hash for the version of Pillow that is installed; most do not depend on it."""
    return hashes.get(f"{name}_pillow13", hashes[name]) if PILLOW_13 else hashes[name]


def processor_of(settings: dict[str, Any]) -> vlkit.DeepseekVLProcessor:
    config = DeepseekVLProcessorConfig.from_official(settings, {"num_image_tokens": 4})
    return vlkit.DeepseekVLProcessor(Tokenizer.of_bytes([TAG]), config)


def values_of(processor: vlkit.DeepseekVLProcessor, path: Path) -> Tensor:
    """uint8[3, side, side] of a picture's view before it is normalised."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    tiling = processor.plan(image.size).tiling
    seen = fitted(image, tiling.overview, tiling.placed_globally, processor.config.fill)
    values = torch.frombuffer(bytearray(seen.tobytes()), dtype=torch.uint8)
    return values.view(seen.height, seen.width, 3).permute(2, 0, 1)


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", SETTINGS)
def test_pictures_are_the_official_ones_to_the_last_bit(name: str, path: Path) -> None:
    processor, case = processor_of(SETTINGS[name]), f"{name}/{path.stem}"
    values = values_of(processor, path)
    assert digest(values) == expected(HASHES, f"{case}/resized_u8")
    (pixels,) = processor(prompt=TAG, images=[path]).images[0]
    assert pixels.dtype == torch.float32
    if SETTINGS[name]["do_normalize"]:
        assert digest(pixels) == expected(HASHES, f"{case}/pixel_values")
    else:
        assert torch.equal(pixels, (values.double() * (1 / 255)).float())


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
@pytest.mark.parametrize("colour", [122, 127])
@pytest.mark.parametrize("side", [384, 1024])
def test_pictures_of_the_released_sizes_are_the_official_ones(side: int, colour: int, path: Path) -> None:
    mean = CLIP_MEAN if colour == 122 else (0.5, 0.5, 0.5)
    values = values_of(processor_of({"image_size": side, "image_mean": mean}), path)
    assert digest(values) == expected(REAL_HASHES, f"{side}/bg{colour}/{path.stem}")


def test_all_256_values_are_scaled_as_in_float64() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(values.float().div(255), (values.double() * (1 / 255)).float())


@pytest.fixture(scope="module")
def processor() -> vlkit.DeepseekVLProcessor:
    """With a tokenizer that merges bytes, and four tokens per picture."""
    folder = GOLDEN / "a8_processor" / "processor"
    config = DeepseekVLProcessorConfig(image_size=32, num_image_tokens=4)
    return vlkit.DeepseekVLProcessor(Tokenizer.from_folder(folder, tokens=[TAG]), config)


def ask(text: str, answer: str = "") -> list[dict[str, str]]:
    return [{"role": "User", "content": text}, {"role": "Assistant", "content": answer}]


def official_ids(processor: vlkit.DeepseekVLProcessor, text: str) -> list[int]:
    """The official way: the whole text at once, then every tag as many times as a picture has tokens."""
    once = [processor.tokenizer.bos_id, *processor.tokenizer.encode(text)]
    return [number for token in once for number in [token] * (4 if token == processor.image_token_id else 1)]


def test_a_question_is_asked_in_the_official_words(processor: vlkit.DeepseekVLProcessor) -> None:
    batch = processor(conversations=ask(f" {TAG}What?\n"), images=[IMAGES[0]])
    text = (
        "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
        "provides, and assist the user with a variety of tasks using natural language.\n\n"
        f"User: {TAG}What?\n\nAssistant:"
    )
    assert batch.sft_format == [text]
    assert batch.input_ids[0].tolist() == official_ids(processor, text)
    assert batch.images_seq_mask.sum() == 4
    assert torch.equal(batch.input_ids == processor.image_token_id, batch.images_seq_mask)
    assert batch.images.shape == (1, 1, 3, 32, 32)
    assert batch.images_spatial_crop.tolist() == [[[1, 1]]]
    assert batch.num_image_tokens == [[4]]


texts = st.text(st.sampled_from("ab Z09.,:;!?-(\n\t'\"{}é\u00a0\u3000字😀"), max_size=8)


@given(st.lists(st.tuples(texts, texts.filter(str.strip)), min_size=1, max_size=3), st.booleans(), texts)
def test_turns_have_the_ids_of_the_whole_text(
    processor: vlkit.DeepseekVLProcessor, rounds: list[tuple[str, str]], ends: bool, system: str
) -> None:
    turns = [turn for number, (question, answer) in enumerate(rounds) for turn in ask(f"{number} {question}", answer)]
    if not ends:
        turns[-1]["content"] = ""
    sample = processor.process_one(conversations=turns, system_prompt=system, inference_mode=not ends)
    named = [(turn["role"], turn["content"].strip()) for turn in turns]
    assert sample.sft_format == DEEPSEEK_VL.prompt(named, system=system or DEEPSEEK_VL.system_text)
    assert sample.input_ids.tolist() == official_ids(processor, sample.sft_format)


def test_answers_and_their_ends_are_learned_and_nothing_else(processor: vlkit.DeepseekVLProcessor) -> None:
    turns = [*ask(f"{TAG}Which?", "The left."), *ask("Sure?", "Yes.")]
    sample = processor.process_one(conversations=turns, images=[IMAGES[0]], inference_mode=False)
    learned = [number for number in sample.labels.tolist()[1:] if number != -100]
    assert processor.decode(learned) == f" The left.{EOS} Yes.{EOS}"
    kept = sample.labels != -100
    assert torch.equal(sample.labels[kept], sample.input_ids[kept])


def test_padding_with_the_last_token_hides_no_end_of_a_text(
    processor: vlkit.DeepseekVLProcessor, tmp_path: Path
) -> None:
    processor.tokenizer.save(tmp_path)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        settings = json.loads((tmp_path / name).read_text())
        (tmp_path / name).write_text(json.dumps(settings | {"pad_token": EOS}))
    tokenizer = Tokenizer.from_folder(tmp_path, tokens=[TAG])
    assert tokenizer.pad_id == tokenizer.eos_id
    own = vlkit.DeepseekVLProcessor(tokenizer, processor.config)
    turns = [ask("A?", "B."), ask("A longer question?", "B, and more of it.")]
    sides: tuple[PaddingSide, ...] = ("left", "right")
    for side in sides:
        batch = own(conversations=turns, inference_mode=False, padding_side=side)
        alone = [own.process_one(conversations=each, inference_mode=False) for each in turns]
        for mask, ids, labels, sample in zip(batch.attention_mask, batch.input_ids, batch.labels, alone, strict=True):
            assert torch.equal(ids[mask], sample.input_ids)
            assert torch.equal(labels[mask], sample.labels)
            assert labels[mask][-1] == tokenizer.eos_id
            assert (labels[~mask] == -100).all()


def test_every_form_of_a_question_is_one_prompt(processor: vlkit.DeepseekVLProcessor) -> None:
    right = processor(conversations=ask(f"{TAG}\nWhat?"), images=[IMAGES[0]])
    parts = [{"type": "image", "path": str(IMAGES[0])}, {"type": "text", "text": "What?"}]
    carried: list[dict[str, Any]] = [*ask(f"{TAG}\nWhat?")]
    carried[0] = {**carried[0], "images": [str(IMAGES[0])]}
    renamed = [{**turn, "role": f"<|{turn['role']}|>"} for turn in ask(f"{TAG}\nWhat?")]
    for ours in (
        processor(messages=[{"role": "user", "content": parts}]),
        processor(conversations=carried),
        processor(conversations=renamed, images=[IMAGES[0]]),
        processor(prompt=right.sft_format[0], images=[IMAGES[0]]),
        processor(prompt=f"{TAG}\nWhat?", images=[IMAGES[0]], apply_sft_format=True),
    ):
        assert ours.sft_format == right.sft_format
        assert all(torch.equal(ours[name], right[name]) for name in right if name != "labels")


def test_a_system_message_stands_in_place_of_the_official_text(processor: vlkit.DeepseekVLProcessor) -> None:
    def shown(**call: Any) -> str:
        return processor(**call).sft_format[0]

    system = {"role": "system", "content": "Be brief."}
    question = {"role": "user", "content": "Hi"}
    brief = "Be brief.\n\nUser: Hi\n\nAssistant:"
    assert shown(messages=[system, question]) == brief
    assert shown(conversations=ask("Hi"), system_prompt="Be brief.") == brief
    assert shown(conversations=[system, *ask("Hi")], system_prompt="Be long.") == brief
    assert shown(prompt="Hi", apply_sft_format=True, system_prompt="Be brief.") == brief
    assert shown(messages=[{**system, "content": ""}, question]) == "User: Hi\n\nAssistant:"


def test_consecutive_questions_are_one_turn_each(processor: vlkit.DeepseekVLProcessor) -> None:
    """The official code would end the second one as if it were an answer."""
    turns = [*ask("A")[:1], *ask("B")]
    assert processor(conversations=turns, system_prompt="S").sft_format == ["S\n\nUser: A\n\nUser: B\n\nAssistant:"]


def test_tags_and_pictures_are_counted(processor: vlkit.DeepseekVLProcessor) -> None:
    for text, images in ((TAG * 2, IMAGES[:1]), (TAG, [])):
        with pytest.raises(InputError, match="image tags"):
            processor(conversations=ask(text), images=images)
    with pytest.raises(InputError, match="user messages only"):
        processor(conversations=ask("Hi", TAG), images=IMAGES[:1])
    batch = processor(conversations=[ask(TAG * 2), ask("Hi")], images=[IMAGES[:2], []])
    assert batch.images.shape == (2, 2, 3, 32, 32)
    assert batch.images_spatial_crop.tolist() == [[[1, 1], [1, 1]], [[0, 0], [0, 0]]]


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 64), st.integers(1, 64))
def test_the_picture_lies_where_the_official_code_puts_it(width: int, height: int, side: int, least: int) -> None:
    """Longest side to `side`, both rounded down and at least `least`, in the middle, the odd pixel below or behind."""
    least = min(side, least)
    processor = processor_of({"image_size": side, "min_size": least})
    box = processor.plan((width, height)).tiling.placed_globally
    across, down = (max(int(length / max(width, height) * side), least) for length in (width, height))
    assert Size(box.right - box.left, box.lower - box.upper) == (across, down)
    assert (box.left, box.upper) == ((side - across) // 2, (side - down) // 2)
    assert max(across, down) == side


RELEASED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "deepseek-vl-1.3b": (
        SMALL,
        {
            "background_color": [127, 127, 127],
            "do_normalize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "VLMImageProcessor",
            "image_size": 384,
            "image_std": [0.5, 0.5, 0.5],
            "min_size": 14,
            "processor_class": "VLChatProcessor",
            "rescale_factor": 0.00392156862745098,
        },
    ),
    "deepseek-vl-7b": (
        LARGE,
        {
            "background_color": [122, 116, 104],
            "do_normalize": False,
            "image_mean": list(CLIP_MEAN),
            "image_processor_type": "VLMImageProcessor",
            "image_size": 1024,
            "image_std": [0.26862954, 0.26130258, 0.27577711],
            "min_size": 14,
            "processor_class": "VLChatProcessor",
            "rescale_factor": 0.00392156862745098,
        },
    ),
}
TEXT = {
    "add_special_token": False,
    "ignore_id": -100,
    "image_tag": TAG,
    "mask_prompt": True,
    "num_image_tokens": 576,
    "processor_class": "VLChatProcessor",
    "sft_format": "deepseek",
}


def write(folder: Path, **contents: Any) -> Path:
    """A folder with a tokenizer and these files."""
    Tokenizer.of_bytes([TAG]).save(folder)
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("preset", RELEASED)
def test_released_settings_are_read_and_written_back(preset: str, tmp_path: Path) -> None:
    config, image = RELEASED[preset]
    folder = write(tmp_path / "official", config=config, preprocessor_config=image, processor_config=TEXT)
    processor = vlkit.load_processor(folder)
    assert type(processor) is vlkit.DeepseekVLProcessor
    assert processor.grid == Grid(24, 24)
    assert processor.plan((1000, 620)).num_tokens == 576
    assert processor.config == vlkit.DeepseekVLProcessor.for_model(vlkit.presets[preset]).config
    assert processor.geometry.cropping == vlkit.presets[preset].cropping
    assert processor.config.fill == tuple(image["background_color"])
    processor.save_pretrained(tmp_path / "saved")
    for name, content in (("preprocessor_config", image), ("processor_config", TEXT)):
        assert json.loads((tmp_path / "saved" / f"{name}.json").read_text()) == content
    assert vlkit.DeepseekVLProcessor.from_pretrained(tmp_path / "saved").config == processor.config


def test_what_files_leave_out_has_the_official_defaults(tmp_path: Path) -> None:
    config = vlkit.DeepseekVLProcessor.from_pretrained(write(tmp_path, preprocessor_config={"image_size": 96})).config
    assert (config.min_size, config.num_image_tokens, config.normalize) == (14, 576, True)
    assert (config.image_mean, config.image_token, config.mask_prompt) == (CLIP_MEAN, TAG, True)


def test_the_shortest_side_is_the_processors_since_the_models_file_has_none(tmp_path: Path) -> None:
    image = {"image_size": 384, "min_size": 40}
    processor = vlkit.DeepseekVLProcessor.from_pretrained(write(tmp_path, config=SMALL, preprocessor_config=image))
    assert processor.plan((1000, 10)).tiling.placed_globally == (0, 172, 384, 212)


def test_a_tokenizer_without_padding_token_pads_with_the_last_one(tmp_path: Path) -> None:
    folder = write(tmp_path, preprocessor_config={"image_size": 96})
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        settings = json.loads((folder / name).read_text())
        del settings["pad_token"]
        (folder / name).write_text(json.dumps(settings))
    tokenizer = vlkit.DeepseekVLProcessor.from_pretrained(folder).tokenizer
    assert tokenizer.pad_id == tokenizer.eos_id


@pytest.mark.parametrize(
    ("image", "text", "message"),
    [
        ({}, {}, "image_size: Field required"),
        ({"image_size": 384, "minsize": 14}, {}, "minsize is not a field .* did you mean 'min_size'"),
        ({"image_size": 384}, {"image_tags": TAG}, "did you mean 'image_tag'"),
        ({"image_size": 384, "rescale_factor": 1.0}, {}, r"rescale_factor 1\.0"),
        ({"image_size": 384, "rescale_factor": None}, {}, "rescale_factor None"),
        ({"image_size": 10}, {}, "min_size 14 with image_size 10"),
        ({"image_size": 10**6}, {}, "image_size"),
        ({"image_size": 384, "image_mean": None}, {}, "image_mean"),
        ({"image_size": 384, "image_std": [0.5, 0, 0.5]}, {}, "image_std.1"),
        ({"image_size": 384}, {"add_special_token": True}, "one token more"),
        ({"image_size": 384}, {"sft_format": "llama-2"}, "sft_format"),
        ({"image_size": 384}, {"num_image_tokens": 575}, "tokens is 575 .* 529"),
    ],
)
def test_wrong_settings_are_named(image: dict[str, Any], text: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        vlkit.DeepseekVLProcessor.from_pretrained(write(tmp_path, preprocessor_config=image, processor_config=text))


def test_settings_of_another_model_are_refused(tmp_path: Path) -> None:
    write(tmp_path, config=LARGE, preprocessor_config={"image_size": 384})
    with pytest.raises(ConfigError, match=r"\(384, 384\) in the processor's settings, \(1024, 1024\) by"):
        vlkit.DeepseekVLProcessor.from_pretrained(tmp_path)
    write(tmp_path, preprocessor_config={"image_size": 1024}, processor_config={"num_image_tokens": 144})
    with pytest.raises(ConfigError, match="144 in the processor's settings, 576 by"):
        vlkit.DeepseekVLProcessor.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["preprocessor_config.json", "tokenizer.json"])
def test_missing_and_damaged_files_are_reported(name: str, tmp_path: Path) -> None:
    folder = write(tmp_path, preprocessor_config={"image_size": 96})
    for damage in (b"", b"{", b"[]", b"\xff\xfe"):
        (folder / name).write_bytes(damage)
        with pytest.raises(CheckpointError, match=name):
            vlkit.DeepseekVLProcessor.from_pretrained(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        vlkit.DeepseekVLProcessor.from_pretrained(folder)
    with pytest.raises(VlkitError):
        vlkit.DeepseekVLProcessor.from_pretrained(folder / "nowhere")


def test_model_and_processor_of_one_folder_fit(tmp_path: Path) -> None:
    model = vlkit.build("mini-vl").eval()
    processor = vlkit.DeepseekVLProcessor.for_model(model.config)
    vlkit.save_pretrained(model, tmp_path, processor=processor)
    loaded, again = vlkit.from_pretrained(tmp_path), vlkit.load_processor(tmp_path)
    assert (type(again), again.config, again.grid) == (vlkit.DeepseekVLProcessor, processor.config, Grid(4, 4))
    batch = again(conversations=ask(f"{TAG}What?"), images=[IMAGES[0]])
    assert not processor.config.normalize and batch.images.min() >= 0 and batch.images.max() <= 1, "raw pixels"
    assert torch.equal(loaded(**batch).logits, model(**batch).logits)


def test_for_model_refuses_what_the_settings_cannot_say() -> None:
    mini = vlkit.presets["mini-vl"]
    with pytest.raises(ConfigError, match="ids up to 259, the decoder 200"):
        vlkit.DeepseekVLProcessor.for_model(mini.replace(decoder=mini.decoder.replace(vocab_size=200)))
    oblong = mini.replace(
        encoder=mini.encoder.low.replace(image_size=(32, 64)), projector="linear", candidate_resolutions=((32, 64),)
    )
    with pytest.raises(ConfigError, match="tiles of 32x64"):
        vlkit.DeepseekVLProcessor.for_model(oblong)
