"""Image tokens learn the marks that lie in their pixels, and nothing else changes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import vlkit
from vlkit.errors import InputError
from vlkit.layouts.tracing import trace
from vlkit.notation import Size
from vlkit.processing.geometry import ImageGeometry
from vlkit.tiling import Tiling
from vlkit.training.encoding import NOT_COUNTED, encode
from vlkit.training.marks import mark_labels
from vlkit.training.sample import Mark, Sample

CONFIG = vlkit.presets["mini"]
PROCESSOR = vlkit.DeepseekVLV2Processor.for_model(CONFIG)


def sample(size: tuple[int, int], marks: tuple[Mark, ...] | None) -> Sample:
    turns = (
        {"role": "<|User|>", "content": "<image>\nWhat?"},
        {"role": "<|Assistant|>", "content": "Nothing."},
    )
    return Sample(turns, (Image.new("RGB", size),), marks=() if marks is None else (marks,))


def regions(geometry: ImageGeometry, tiling: Tiling) -> list[tuple[float, float, float, float] | None]:
    """Part of the picture that each image token shows, in pixels of the picture; None for separators."""
    found: list[tuple[float, float, float, float] | None] = []
    for token in trace(geometry.layout, tiling.grid, geometry.grid, geometry.overview):
        if token.view is None:
            found.append(None)
            continue
        box, frame, grid = tiling.placed, tiling.tile_size, geometry.grid
        left, upper = 0, 0
        if token.view == 0:
            box, frame, grid = tiling.placed_globally, tiling.overview, geometry.overview
        else:
            left, upper = tiling.boxes[token.view - 1][:2]
        wide, high = frame.width / grid.cols, frame.height / grid.rows
        edges = (
            left + token.col * wide - box.left,
            upper + token.row * high - box.upper,
            left + (token.col + 1) * wide - box.left,
            upper + (token.row + 1) * high - box.upper,
        )
        across = tiling.image_size.width / (box.right - box.left)
        down = tiling.image_size.height / (box.lower - box.upper)
        found.append((edges[0] * across, edges[1] * down, edges[2] * across, edges[3] * down))
    return found


@given(
    size=st.tuples(st.integers(20, 300), st.integers(20, 300)),
    at=st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)),
)
def test_exactly_the_tokens_around_a_mark_learn_it(size: tuple[int, int], at: tuple[float, float]) -> None:
    mark = Mark("Q", at[0] * size[0], at[1] * size[1])
    plain, marked = encode(PROCESSOR, sample(size, None)), encode(PROCESSOR, sample(size, (mark,)))
    changed = (plain.labels != marked.labels).nonzero().flatten().tolist()
    places = plain.images_seq_mask.nonzero().flatten().tolist()
    (letter,) = PROCESSOR.tokenizer.encode("Q")
    assert {int(marked.labels[place]) for place in changed} == {letter}
    around = regions(PROCESSOR.geometry, plain.tilings[0])
    for place, region in zip(places, around, strict=True):
        if region is None:
            assert place + 1 not in changed
            continue
        left, upper, right, lower = region
        slack = 1e-6 * max(size)
        if left + slack < mark.x < right - slack and upper + slack < mark.y < lower - slack:
            assert place + 1 in changed
        elif place + 1 in changed:
            assert left - slack <= mark.x <= right + slack and upper - slack <= mark.y <= lower + slack


def test_the_mark_nearest_to_the_middle_counts() -> None:
    width = CONFIG.tile_size.width
    (letter,) = PROCESSOR.tokenizer.encode("N")
    cell = width / PROCESSOR.geometry.grid.cols
    near, far = Mark("N", cell * 0.5, cell * 0.5), Mark("F", cell * 0.9, cell * 0.5)
    for marks in ((near, far), (far, near)):
        encoded = encode(PROCESSOR, sample((width, width), marks))
        first = int(encoded.images_seq_mask.nonzero()[0])
        assert int(encoded.labels[first + 1]) == letter


def test_what_is_learned_anyway_stays_and_nothing_else_is_learned() -> None:
    plain = encode(PROCESSOR, sample((80, 40), None))
    marked = encode(PROCESSOR, sample((80, 40), (Mark("A", 3, 3), Mark("B", 70, 30))))
    answers = plain.labels != NOT_COUNTED
    assert torch.equal(plain.labels[answers], marked.labels[answers])
    assert torch.equal(plain.input_ids, marked.input_ids)
    new = (marked.labels != NOT_COUNTED) & ~answers
    assert 2 <= int(new.sum()) <= 4
    assert bool(plain.images_seq_mask[new.nonzero().flatten() - 1].all())


def test_every_picture_has_its_marks() -> None:
    encoded = PROCESSOR.process_one(prompt="<image>", images=[Image.new("RGB", (20, 20))], inference_mode=False)
    wrong = Sample((), (), marks=((), ()))
    with pytest.raises(InputError, match="marks of 2 pictures for 1"):
        mark_labels(PROCESSOR, wrong, encoded)


def test_marks_on_the_edge_belong_to_the_last_token() -> None:
    size = Size(40, 40)
    encoded = encode(PROCESSOR, sample(size, (Mark("E", 40.0, 40.0),)))
    assert (encoded.labels == PROCESSOR.tokenizer.encode("E")[0]).any()
