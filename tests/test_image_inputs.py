"""Pictures of a batch: what belongs together is gathered, what does not fit is refused."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import vlkit
from tests.refusal import refuse_to_run
from tests.small_models import Case, batch_of, cases, sample
from tests.strategies import grids, normal, seeds
from vlkit.errors import InputError, ShapeError, VlkitError
from vlkit.image_inputs import ImageInputs
from vlkit.notation import Grid


@given(st.lists(st.lists(grids(3), max_size=3), min_size=1, max_size=3), st.integers(0, 2), seeds)
def test_gathering_undoes_padding(rows: list[list[Grid]], room: int, seed: int) -> None:
    views = [sum(1 + tiles.area for tiles in row) for row in rows]
    pixels = [normal(seed, count, 3, 2, 3) for count in views]
    images = torch.zeros(len(rows), max(views) + room, 3, 2, 3, dtype=torch.float64)
    crops = torch.zeros(len(rows), max(map(len, rows)) + room, 2, dtype=torch.long)
    for row, (own, tile_grids) in enumerate(zip(pixels, rows, strict=True)):
        images[row, : len(own)] = own
        for number, (down, across) in enumerate(tile_grids):
            crops[row, number] = torch.tensor([across, down])
    places = torch.zeros(len(rows), 4, dtype=torch.bool)
    inputs = ImageInputs.gather(images, places, crops, samples=len(rows))
    if not any(rows):
        assert inputs is None
        return
    assert inputs is not None
    assert (inputs.tile_grids, inputs.views) == (rows, views)
    assert torch.equal(inputs.pixels, torch.cat(pixels))


@given(st.lists(st.lists(grids(2), max_size=2), min_size=1, max_size=3).filter(any), st.integers(0, 2), st.data())
def test_each_sample_has_as_many_places_as_image_tokens(rows: list[list[Grid]], row: int, data: st.DataObject) -> None:
    row %= len(rows)
    counts = [sum(10 * tiles.rows + tiles.cols for tiles in grids) for grids in rows]
    places = torch.arange(100)[None] < torch.tensor(counts)[:, None]
    inputs = ImageInputs(torch.zeros(()), places, rows)
    inputs.require_places((len(rows), 100), lambda tiles: 10 * tiles.rows + tiles.cols)
    places[row, data.draw(st.integers(0, 99))] ^= True
    with pytest.raises(ShapeError, match=rf"sample {row}: [\s\S]*{counts[row]} in all, but images_seq_mask has"):
        inputs.require_places((len(rows), 100), lambda tiles: 10 * tiles.rows + tiles.cols)


@given(cases(most=2, least_pictures=1), st.data())
def test_pictures_cannot_be_left_out_or_added_unnoticed(case: Case, data: st.DataObject) -> None:
    case.model.encoder.register_forward_pre_hook(refuse_to_run)
    inputs = case.batch
    row = data.draw(st.integers(0, len(case.samples) - 1))
    crops = inputs["images_spatial_crop"]
    if data.draw(st.booleans()):
        inputs["images_spatial_crop"] = torch.cat([crops, torch.zeros_like(crops[:, :1])], dim=1)
        inputs["images_spatial_crop"][row, len(case.samples[row].tiles)] = 1
        inputs["images"] = torch.cat([inputs["images"], inputs["images"][:, :2]], dim=1)
    else:
        crops[row, len(case.samples[row].tiles) - 1] = 0
    with pytest.raises(VlkitError, match=r"images_seq_mask has|behind the|with n of at least"):
        case.model(**inputs)


@pytest.fixture(scope="module")
def model() -> vlkit.VLM:
    return vlkit.build("mini")


@pytest.fixture
def inputs(model: vlkit.VLM) -> dict[str, Tensor]:
    """One text with a picture of 1x2 tiles: three views."""
    return batch_of([sample(model.config, [2, 3], [Grid(1, 2)], 0)], model.config)


def changed(name: str, change: Any) -> Any:
    return lambda inputs: {**inputs, name: change(inputs[name])}


MISTAKES: dict[str, tuple[Any, str, type[VlkitError]]] = {
    "no pixels": (changed("images", lambda x: None), "given without images", InputError),
    "no mask": (changed("images_seq_mask", lambda x: None), "given without images_seq_mask", InputError),
    "no crops": (changed("images_spatial_crop", lambda x: None), "images_spatial_crop names none", InputError),
    "too few views": (changed("images", lambda x: x[:, :2]), r"\[1, 2, 3, 56, 56\][\s\S]*at least 3.*1x2", ShapeError),
    "unnamed views": (changed("images", lambda x: x.repeat(1, 2, 1, 1, 1)), r"behind the \[3\] views", ShapeError),
    "other batch": (changed("images", lambda x: x.repeat(2, 1, 1, 1, 1)), r"images of shape \[2, 3", ShapeError),
    "no view axis": (changed("images", lambda x: x[0]), r"images of shape \[3, 3, 56, 56\]", ShapeError),
    "bytes": (changed("images", lambda x: x.byte()), r"images of torch.uint8[\s\S]*processor", InputError),
    "other size": (changed("images", lambda x: x[..., :50]), r"\[3, 3, 56, 50\][\s\S]*\[N, 3, 56, 56\]", ShapeError),
    "mask too short": (changed("images_seq_mask", lambda x: x[:, :-1]), "images_seq_mask of shape", ShapeError),
    "mask of a batch": (changed("images_seq_mask", lambda x: x.repeat(2, 1)), "images_seq_mask of shape", ShapeError),
    "mask without rows": (changed("images_seq_mask", lambda x: x[0]), "images_seq_mask of shape", ShapeError),
    "crops without rows": (changed("images_spatial_crop", lambda x: x[0]), "images_spatial_crop of shape", ShapeError),
    "one crop number": (changed("images_spatial_crop", lambda x: x[..., :1]), "images_spatial_crop of sh", ShapeError),
    "negative crops": (changed("images_spatial_crop", lambda x: -x), r"\[\[\[-2, -1\]\]\]", InputError),
    "fractions": (changed("images_spatial_crop", lambda x: x / 2), "whole numbers", InputError),
    "endless crops": (changed("images_spatial_crop", lambda x: x * 10**9), "images of shape", ShapeError),
    "other crop": (changed("images_spatial_crop", lambda x: x.flip(-1)), r"sample 0: images of \['2x1'\]", ShapeError),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_pictures_that_do_not_fit_are_refused(model: vlkit.VLM, inputs: dict[str, Tensor], mistake: str) -> None:
    change, message, error = MISTAKES[mistake]
    assert model(**inputs).logits.isfinite().all()
    for run in (model, model.generate):
        with pytest.raises(error, match=message):
            run(**change(inputs))


def test_a_mask_of_whole_numbers_means_the_same(model: vlkit.VLM, inputs: dict[str, Tensor]) -> None:
    whole = changed("images_seq_mask", lambda x: x.long())(inputs)
    assert torch.equal(model(**whole).logits, model(**inputs).logits)
