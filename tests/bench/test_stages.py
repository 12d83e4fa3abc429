"""Stages: the same views and tokens as the processor and the model themselves make, in their order."""

import io
from typing import Any

import pytest
import torch
from PIL import Image

import vlkit
from vlkit.bench import STAGES, Request, measure_stages
from vlkit.bench.stages import cut
from vlkit.models.deepseek_vl2.processor import DeepseekVLV2Processor
from vlkit.notation import Grid, Size

REQUEST = Request((Size(90, 60), Size(30, 70)), prompt_tokens=3, new_tokens=3)
CPU = torch.device("cpu")


def small(name: str) -> vlkit.VLM:
    torch.manual_seed(0)
    return vlkit.build(name).eval()


@pytest.mark.parametrize("name", ["mini", "mini-dense", "mini-ocr", "mini-vl"])
def test_every_stage_is_timed_as_often_as_asked(name: str) -> None:
    told: list[tuple[int, int]] = []
    found = measure_stages(small(name), REQUEST, runs=2, warmup=1, progress=lambda *done: told.append(done))
    assert list(found) == list(STAGES)
    assert all(len(times) == 2 and min(times) > 0 for times in found.values())
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_text_alone_has_the_stages_of_the_decoder() -> None:
    found = measure_stages(small("mini"), Request((), prompt_tokens=3, new_tokens=2), runs=1, warmup=0)
    assert list(found) == ["prefill", "decode"]


def test_views_are_those_of_the_processor() -> None:
    config, pictures = vlkit.presets["mini"], REQUEST.pictures()
    views = cut(config, pictures, CPU)
    processor = DeepseekVLV2Processor.for_model(config)
    tags = processor.config.image_token * len(pictures)
    sample = processor(prompt=tags, images=pictures)
    assert torch.equal(views.batches[0], sample.images[0])
    assert [grid[::-1] for grid in views.tile_grids] == [tuple(row) for row in sample.images_spatial_crop[0].tolist()]


def test_the_model_runs_as_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    model, request = small("mini"), Request((Size(90, 60),), prompt_tokens=3, new_tokens=4, chunk_size=50)
    calls: list[tuple[str, Any]] = []
    for name in ("encoder", "projector", "layout", "decoder"):
        getattr(model, name).register_forward_pre_hook(
            lambda module, inputs, name=name: calls.append((name, list(inputs[0].shape)))
        )
    measure_stages(model, request, runs=1, warmup=0)
    about = request.describe(model.config)
    positions, passes = about.context.prefill, [call[1][1] for call in calls if call[0] == "decoder"]
    assert [name for name, _ in calls[:3]] == ["encoder", "projector", "layout"]
    assert calls[0][1][0] == about.pictures[0].views
    assert passes == [50] * (positions // 50) + [positions % 50] * bool(positions % 50) + [1, 1, 1]


def test_a_picture_that_is_not_cut_has_no_tiles() -> None:
    config = vlkit.presets["mini-ocr"]
    assert config.global_view_size is not None
    small_side = min(config.tile_size)
    views = cut(config, Request((Size(small_side, small_side),)).pictures(), CPU)
    overview, tiles = views.batches
    assert overview.shape == (1, 3, *config.global_view_size[::-1])
    assert len(tiles) == sum(map(config.layout.tile_count, views.tile_grids))
    assert views.tile_grids == (Grid(1, 1),)


def test_pictures_are_normalised_as_the_encoder_wants() -> None:
    config = vlkit.presets["mini"]
    white = Image.new("RGB", (20, 20), "white")
    file = io.BytesIO()
    white.save(file, format="PNG")
    assert cut(config, [file.getvalue()], CPU).batches[0].max() == pytest.approx(1.0)
