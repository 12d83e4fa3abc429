"""The processor gives what the official one gives: every sample, batch and error of the golden data, and its laws."""

import base64
import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from vlkit.errors import CheckpointError, ConfigError, ContextLengthError, InputError, VlkitError
from vlkit.layouts import Layout1DConfig, Layout2DConfig
from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor, DeepseekVLV2ProcessorConfig
from vlkit.notation import Grid, Size
from vlkit.processing.batching import Sample
from vlkit.processing.templates import CHAT_TEMPLATE

GOLDEN = Path(__file__).parents[2] / "golden" / "a8_processor"
SAMPLES: list[dict[str, Any]] = json.loads((GOLDEN / "samples.json").read_text())
BATCHES: list[dict[str, Any]] = json.loads((GOLDEN / "batches.json").read_text())
ERRORS: list[dict[str, Any]] = json.loads((GOLDEN / "errors.json").read_text())
CALL_KEYS = ("prompt", "conversations", "apply_sft_format", "inference_mode", "system_prompt")
TENSORS = ("input_ids", "attention_mask", "labels", "images", "images_seq_mask", "images_spatial_crop")
PILLOW_13 = int(PIL.__version__.split(".")[0]) >= 13


def named(cases: Sequence[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case["name"])


def ask(text: str, answer: str = "") -> list[dict[str, str]]:
    return [{"role": "<|User|>", "content": text}, {"role": "<|Assistant|>", "content": answer}]


@pytest.fixture(scope="session")
def folder(golden: Path) -> Path:
    return golden / "a8_processor"


@pytest.fixture(scope="session")
def expected(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "expected.safetensors")


@pytest.fixture(scope="session")
def processor(folder: Path) -> DeepseekVLV2Processor:
    return DeepseekVLV2Processor.from_pretrained(folder / "processor")


def process(processor: DeepseekVLV2Processor, case: Mapping[str, Any], folder: Path) -> Sample:
    own = DeepseekVLV2Processor(processor.tokenizer, processor.config.replace(**case.get("processor", {})))
    options = {key: case[key] for key in CALL_KEYS if key in case}
    images = None if case["images"] is None else [folder / "images" / name for name in case["images"]]
    surplus = case["name"] == "more_images_than_tags"
    warns = pytest.warns(UserWarning, match="2 of 3 images have no tag")
    with warns if surplus else contextlib.nullcontext():
        return own.process_one(images=images, **options)


def digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


@named(SAMPLES)
def test_sample_is_the_official_one(
    case: dict[str, Any], processor: DeepseekVLV2Processor, folder: Path, expected: dict[str, Tensor]
) -> None:
    sample, right, name = process(processor, case, folder), case["expected"], case["name"]
    assert sample.sft_format == right["sft_format"]
    assert sample.num_image_tokens == right["num_image_tokens"]
    assert len(sample.input_ids) == right["length"]
    assert list(sample.images.shape) == right["images_shape"]
    for ours, theirs in (
        (sample.input_ids, "input_ids"),
        (sample.labels, "target_ids"),
        (sample.images_seq_mask, "images_seq_mask"),
        (sample.images_spatial_crop, "images_spatial_crop"),
    ):
        assert ours.dtype == expected[f"{name}/{theirs}"].dtype
        assert torch.equal(ours, expected[f"{name}/{theirs}"])


@named(SAMPLES)
def test_pixels_are_the_official_ones_to_the_last_bit(
    case: dict[str, Any], processor: DeepseekVLV2Processor, folder: Path, expected: dict[str, Tensor]
) -> None:
    sample, right = process(processor, case, folder), case["expected"]
    versions = [right.get("images_sha256_float32"), right.get("images_sha256_float32_pillow13")]
    newest_first = [hash_ for hash_ in (versions[::-1] if PILLOW_13 else versions) if hash_]
    assert sample.images.dtype == torch.float32
    assert digest(sample.images) == newest_first[0]
    stored = "images_u8_pillow13" if newest_first[0] == versions[1] else "images_u8"
    if f"{case['name']}/{stored}" in expected:
        values = expected[f"{case['name']}/{stored}"].float().div(255)
        if right["normalize"]:
            mean, std = (torch.tensor(right[key]).view(3, 1, 1) for key in ("mean", "std"))
            values = values.sub(mean).div(std)
        assert torch.equal(sample.images, values)


@named(BATCHES)
def test_batch_is_the_official_one(
    case: dict[str, Any], processor: DeepseekVLV2Processor, folder: Path, expected: dict[str, Tensor]
) -> None:
    by_name = {sample["name"]: sample for sample in SAMPLES}
    samples = [process(processor, by_name[name], folder) for name in case["samples"]]
    batch, right = processor.batchify(samples, padding_side=case["padding"]), case["expected"]
    for name in ("input_ids", "attention_mask", "labels", "images_spatial_crop"):
        assert batch[name].dtype == expected[f"batch/{case['name']}/{name}"].dtype
        assert torch.equal(batch[name], expected[f"batch/{case['name']}/{name}"])
    assert batch.images_seq_mask.dtype == torch.bool
    assert torch.equal(batch.images_seq_mask, expected[f"batch/{case['name']}/images_seq_mask"].bool())
    assert batch.sft_format == right["sft_format"]
    assert [len(sample.input_ids) for sample in samples] == right["seq_lens"]
    assert list(batch.images.shape) == right["images_shape"]
    for row, sample, zeros in zip(batch.images, samples, right["zero_tiles_appended"]):
        assert torch.equal(row[: len(sample.images)], sample.images)
        assert len(row) - len(sample.images) == zeros
        assert not row[len(sample.images) :].any()


@named(ERRORS)
def test_official_errors_say_what_is_wrong_and_no_images_is_none(
    case: dict[str, Any], processor: DeepseekVLV2Processor, folder: Path
) -> None:
    if case["images"] is None:
        given = {key: case[key] for key in CALL_KEYS if key in case}
        ours, same = processor(**given), processor(**given, images=[])
        assert all(torch.equal(ours[name], same[name]) for name in ours)
        return
    with pytest.raises(InputError) as error:
        process(processor, case, folder)
    assert error.value.rule


def test_mapping_holds_exactly_what_a_model_takes(processor: DeepseekVLV2Processor, folder: Path) -> None:
    batch = processor(conversations=ask("<image>\nWhat is it?"), images=[folder / "images" / "a.png"])
    assert tuple(batch) == TENSORS
    assert len(batch) == 6
    assert {name: tensor.dim() for name, tensor in batch.items()} == dict(zip(TENSORS, (2, 2, 2, 5, 2, 3)))
    assert {str(batch[name].dtype) for name in ("input_ids", "labels", "images_spatial_crop")} == {"torch.int64"}
    assert {str(batch[name].dtype) for name in ("attention_mask", "images_seq_mask")} == {"torch.bool"}
    assert batch["input_ids"] is batch.input_ids
    with pytest.raises(KeyError):
        batch["sft_format"]


def test_to_casts_the_images_only(processor: DeepseekVLV2Processor, folder: Path) -> None:
    batch = processor(prompt="<image>", images=[folder / "images" / "a.png"])
    moved = batch.to("meta", torch.bfloat16)
    assert all(tensor.device.type == "meta" for tensor in moved.values())
    assert moved.images.dtype == torch.bfloat16
    assert all(moved[name].dtype == batch[name].dtype for name in batch if name != "images")
    assert batch.to("cpu").images.dtype == torch.float32
    assert moved.tilings == batch.tilings


def test_list_of_texts_is_a_batch_and_left_padded_rows_equal_single_calls(
    processor: DeepseekVLV2Processor, folder: Path
) -> None:
    texts = ["<image>\nWhat is it?", "Hello, world!", "<image> and <image>: compare."]
    images = [[folder / "images" / name for name in names] for names in (["a.png"], [], ["c.png", "g.png"])]
    pad = processor.tokenizer.pad_id
    for batch, singles in (
        (
            processor(conversations=[ask(text) for text in texts], images=images),
            [processor(conversations=ask(text), images=own) for text, own in zip(texts, images)],
        ),
        (
            processor(prompt=texts, images=images),
            [processor(prompt=text, images=own) for text, own in zip(texts, images)],
        ),
    ):
        for row, single in enumerate(singles):
            length = single.input_ids.shape[1]
            for name in ("input_ids", "labels", "images_seq_mask", "attention_mask"):
                assert torch.equal(batch[name][row, -length:], single[name][0])
            assert (batch.input_ids[row, :-length] == pad).all()
            assert not batch.attention_mask[row, :-length].any()
            assert not batch.images_seq_mask[row, :-length].any()
            assert (batch.labels[row, :-length] == processor.config.ignore_id).all()
            assert torch.equal(batch.images[row, : single.images.shape[1]], single.images[0])
            assert batch.tilings[row] == single.tilings[0]


def test_crop_is_explicit_or_the_official_rule(processor: DeepseekVLV2Processor, folder: Path) -> None:
    image = folder / "images" / "g.png"

    def tiles(count: int, crop: bool | None) -> list[list[int]]:
        batch = processor(prompt="<image>" * count, images=[image] * count, crop=crop)
        crops: list[list[int]] = batch.images_spatial_crop[0].tolist()
        return crops

    assert tiles(2, None) == tiles(2, True) == [[3, 3]] * 2
    assert tiles(3, None) == tiles(3, False) == [[1, 1]] * 3
    assert tiles(3, True) == [[3, 3]] * 3
    assert tiles(1, False) == [[1, 1]]


@given(width=st.integers(1, 400), height=st.integers(1, 400), crop=st.booleans(), layout=st.sampled_from("12"))
def test_planned_count_equals_image_positions_and_pixels(
    processor: DeepseekVLV2Processor, width: int, height: int, crop: bool, layout: str
) -> None:
    chosen = Layout1DConfig(max_tiles=9) if layout == "1" else Layout2DConfig(global_view="tail")
    own = DeepseekVLV2Processor(processor.tokenizer, processor.config, layout=chosen, grid=Grid(2, 3))
    plan = own.plan((width, height), crop=crop)
    batch = own(prompt="a <image> b", images=[Image.new("RGB", (width, height))], crop=crop)
    assert batch.images_seq_mask.sum() == plan.num_tokens == batch.num_image_tokens[0][0]
    assert (batch.input_ids[batch.images_seq_mask] == own.image_token_id).all()
    assert (batch.labels[batch.images_seq_mask] == own.config.ignore_id).all()
    assert batch.tilings == [[plan.tiling]]
    assert plan.tiling.image_size == Size(width, height)
    assert batch.images.shape[1] == 1 + plan.tiling.grid.area
    assert batch.images_spatial_crop.tolist() == [[[plan.tiling.grid.cols, plan.tiling.grid.rows]]]


def test_all_forms_of_a_picture_give_identical_pixels(processor: DeepseekVLV2Processor, folder: Path) -> None:
    path = folder / "images" / "a.png"
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    array = np.array(image)
    tensor = torch.from_numpy(array)
    batches = [
        processor(prompt="<image>", images=[form])
        for form in (path, str(path), image, path.read_bytes(), array, tensor, tensor.permute(2, 0, 1))
    ]
    assert all(torch.equal(batch.images, batches[0].images) for batch in batches)


def test_messages_equal_conversations(processor: DeepseekVLV2Processor, folder: Path) -> None:
    path = folder / "images" / "a.png"
    url = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
    image_parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image_url", "image_url": url},
        {"type": "image", "image": Image.open(path)},
        {"type": "image", "path": str(path)},
        {"type": "image", "url": url},
    ]
    right = processor(conversations=[*ask("Hi", "Hello."), *ask("<image>\nRead it.")], images=[path])
    for part in image_parts:
        question = {"role": "user", "content": [part, {"type": "text", "text": "Read it."}]}
        ours = processor(
            messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}, question]
        )
        assert all(torch.equal(ours[name], right[name]) for name in right)
        assert ours.sft_format == right.sft_format
    elsewhere = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Read it."}]}]
    ours = processor(messages=elsewhere, images=[path])
    right = processor(conversations=ask("<image>\nRead it."), images=[path])
    assert all(torch.equal(ours[name], right[name]) for name in right)


def test_messages_are_learned_from_as_conversations_are(processor: DeepseekVLV2Processor) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
    ]
    conversation = [{"role": "system", "content": "Be brief."}, *ask("Hi", "Hello.")]
    for inference in (True, False):
        ours = processor(messages=messages, inference_mode=inference)
        right = processor(conversations=conversation, inference_mode=inference)
        assert all(torch.equal(ours[name], right[name]) for name in right)


def test_pictures_in_turns_count_if_none_are_passed(processor: DeepseekVLV2Processor, folder: Path) -> None:
    path = folder / "images" / "a.png"
    turns: list[dict[str, Any]] = [*ask("<image>\nRead it.")]
    right = processor(conversations=turns, images=[path])
    turns[0] = {**turns[0], "images": [str(path)]}
    ours = processor(conversations=turns)
    assert all(torch.equal(ours[name], right[name]) for name in right)
    both = processor(conversations=turns, images=[path])
    assert all(torch.equal(both[name], right[name]) for name in right)


def test_chat_template_gives_the_text_that_the_ids_stand_for(processor: DeepseekVLV2Processor, folder: Path) -> None:
    jinja2 = pytest.importorskip("jinja2")
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(CHAT_TEMPLATE)
    tokenizer = processor.tokenizer
    path = folder / "images" / "a.png"
    parts = [{"type": "image"}, {"type": "text", "text": " Read it. "}]
    system: dict[str, Any] = {"role": "system", "content": " Be brief. "}
    dialogues: list[list[dict[str, Any]]] = [
        [{"role": "user", "content": "Hello, world!"}],
        [{"role": "user", "content": "  "}],
        [{"role": "user", "content": "<image>\nWhat?  \n"}],
        [system, {"role": "user", "content": parts}],
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": " Ho. "},
            {"role": "user", "content": parts},
        ],
    ]
    for messages in dialogues:
        rendered = template.render(
            messages=messages,
            bos_token=tokenizer.token_of(tokenizer.bos_id),
            eos_token=tokenizer.token_of(tokenizer.eos_id),
            add_generation_prompt=True,
        )
        images = [path] if "<image>" in rendered else []
        sample = processor.process_one(messages=messages, images=images, crop=False)
        once = [
            number
            for place, number in enumerate(sample.input_ids.tolist())
            if not (sample.images_seq_mask[place] and sample.images_seq_mask[place - 1])
        ]
        assert processor.decode(once) == rendered
        if not any(message["role"] == "assistant" for message in messages):
            assert tokenizer.encode(rendered) == once


def test_saving_and_loading_gives_the_same_processor(
    processor: DeepseekVLV2Processor, folder: Path, tmp_path: Path
) -> None:
    processor.save_pretrained(tmp_path / "saved")
    again = DeepseekVLV2Processor.from_pretrained(tmp_path / "saved")
    assert again.config == processor.config
    assert len(again.tokenizer) == len(processor.tokenizer) == 608
    official = json.loads((folder / "processor" / "processor_config.json").read_text())
    assert json.loads((tmp_path / "saved" / "processor_config.json").read_text()) == official
    settings = json.loads((tmp_path / "saved" / "tokenizer_config.json").read_text())
    assert settings["chat_template"] == CHAT_TEMPLATE
    assert settings["additional_special_tokens"][-2:] == ["<|User|>", "<|Assistant|>"]
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "processor_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    for case in SAMPLES[:6]:
        ours, right = process(again, case, folder), process(processor, case, folder)
        assert torch.equal(ours.input_ids, right.input_ids)
        assert torch.equal(ours.images, right.images)
    again.save_pretrained(tmp_path / "twice")
    for file in (tmp_path / "saved").iterdir():
        assert (tmp_path / "twice" / file.name).read_text() == file.read_text()


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    for file in (folder / "processor").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("model", "layout"),
    [
        ({}, Layout2DConfig()),
        ({"tile_tag": "2D", "global_view_pos": "tail"}, Layout2DConfig(global_view="tail")),
        ({"tile_tag": "1D", "candidate_resolutions": [[56, 56]] * 9}, Layout1DConfig(max_tiles=9)),
    ],
)
def test_config_of_the_model_chooses_the_layout(copied: Path, model: dict[str, Any], layout: object) -> None:
    (copied / "config.json").write_text(json.dumps(model))
    processor = DeepseekVLV2Processor.from_pretrained(copied)
    assert processor.layout == layout


@pytest.mark.parametrize(
    "model",
    [
        {"tile_tag": "tile_tag"},
        {"tile_tag": "2D", "global_view_pos": "middle"},
        {"tile_tag": "1D", "candidate_resolutions": [[56, 56]]},
        {"tile_tag": "1D", "candidate_resolutions": 3},
        {"tile_tag": ["2D"]},
    ],
)
def test_unusable_layouts_are_refused(copied: Path, model: dict[str, Any]) -> None:
    (copied / "config.json").write_text(json.dumps(model))
    with pytest.raises(ConfigError):
        DeepseekVLV2Processor.from_pretrained(copied)


@pytest.mark.parametrize("name", ["processor_config.json", "tokenizer.json"])
def test_missing_and_damaged_files_are_reported(copied: Path, name: str) -> None:
    for damage in (b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000):
        (copied / name).write_bytes(damage)
        with pytest.raises(CheckpointError, match=name):
            DeepseekVLV2Processor.from_pretrained(copied)
    (copied / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        DeepseekVLV2Processor.from_pretrained(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patchsize": 14}, "did you mean 'patch_size'"),
        ({"sft_format": "deepsek"}, "did you mean 'deepseek'"),
        ({"candidate_resolutions": []}, "candidate_resolutions"),
        ({"candidate_resolutions": [[56, 56], [56, 57]]}, "multiples of 56"),
        ({"candidate_resolutions": [[10**9, 10**9]]}, "candidate_resolutions"),
        ({"candidate_resolutions": [[2**15, 2**15]]}, "pixels"),
        ({"patch_size": 57}, "at least one patch"),
        ({"image_std": [0.5, 0, 0.5]}, "image_std.1"),
        ({"image_mean": [0.5, 2, 0.5]}, "image_mean.1"),
        ({"downsample_ratio": 0}, "downsample_ratio"),
    ],
)
def test_wrong_settings_are_named(processor: DeepseekVLV2Processor, change: dict[str, Any], message: str) -> None:
    fields = {**processor.config.model_dump(mode="json"), **change}
    with pytest.raises(ConfigError, match=message):
        DeepseekVLV2ProcessorConfig.model_validate(fields)


def test_defaults_are_those_of_the_official_class(folder: Path) -> None:
    defaults = json.loads((folder / "meta.json").read_text())["processor_defaults"]
    config = DeepseekVLV2ProcessorConfig(candidate_resolutions=((56, 56),), patch_size=14, downsample_ratio=2)
    assert {name: getattr(config, name) for name in defaults} == defaults


def test_released_sizes_take_the_published_numbers_of_tokens(processor: DeepseekVLV2Processor, folder: Path) -> None:
    resolutions = json.loads((folder / "best_resolution.json").read_text())["candidate_resolutions"]
    own = DeepseekVLV2Processor(processor.tokenizer, processor.config.replace(candidate_resolutions=resolutions))
    assert own.grid == Grid(14, 14)
    sizes = {(384, 384): 421, (1152, 1152): 2017, (384, 3456): 2101, (3456, 384): 1989}
    assert {size: own.plan(size).num_tokens for size in sizes} == sizes


def test_max_length_raises_and_never_cuts(processor: DeepseekVLV2Processor, folder: Path) -> None:
    image = folder / "images" / "a.png"
    length = processor(prompt="<image>x", images=[image]).input_ids.shape[1]
    assert processor(prompt="<image>x", images=[image], max_length=length).input_ids.shape[1] == length
    with pytest.raises(ContextLengthError, match=rf"{length} tokens, 27 of them for 1 images"):
        processor(prompt="<image>x", images=[image], max_length=length - 1)


@pytest.mark.parametrize(
    "call",
    [
        {},
        {"prompt": "a", "messages": []},
        {"prompt": 3},
        {"prompt": []},
        {"conversations": "a"},
        {"conversations": [3]},
        {"messages": [{"role": "user", "content": "a"}], "padding_side": "top"},
        {"prompt": "a", "return_tensors": "np"},
        {"prompt": "a", "images": "a.png"},
        {"prompt": ["a", "b"], "images": [[]]},
        {"prompt": ["a", "b"], "images": 3},
        {"prompt": "<image>", "images": ["http://example.org/a.png"]},
        {"messages": [{"role": "user", "content": "<image><image>"}], "images": [Image.new("RGB", (4, 4))]},
        {"messages": [{"role": "user", "content": "a"}], "images": [Image.new("RGB", (4, 4))]},
    ],
)
def test_unusable_calls_are_refused(processor: DeepseekVLV2Processor, call: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        processor(**call)


def test_pixel_budget_is_the_processors(processor: DeepseekVLV2Processor) -> None:
    own = DeepseekVLV2Processor(processor.tokenizer, processor.config, max_pixels=99)
    assert own(prompt="<image>", images=[Image.new("RGB", (9, 11))])
    with pytest.raises(InputError, match="10x10"):
        own(prompt="<image>", images=[Image.new("RGB", (10, 10))])


def test_unknown_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(VlkitError):
        DeepseekVLV2Processor.from_pretrained(tmp_path / "nowhere")
