"""Dense supervision: image tokens that learn what they show, beside the text of the conversation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from vlkit.errors import InputError
from vlkit.notation import Grid, Size
from vlkit.processing.batching import Sample as Encoded
from vlkit.processing.geometry import ImageGeometry
from vlkit.processing.processor import Processor
from vlkit.tiling import Box, Tiling
from vlkit.training.sample import Mark, Sample

SMALLEST = 8
"""Height in pixels below which a mark cannot be seen."""


def mark_labels(processor: Processor[Any], sample: Sample, encoded: Encoded) -> Tensor:
    """Labels int64[T] of an encoded sample, with those of its marks added.

    An image token whose pixels hold a mark that can be seen predicts the first token of the mark's text, in the global
    view as in the tiles. The loss reads labels one position later than it predicts them, so they stand behind their
    image tokens; the text behind a picture that is learned itself stays as it is. Of several marks in one token the one
    nearest to its middle counts.

    Raises:
        InputError: if there are marks of more or fewer pictures than there are.
    """
    if len(sample.marks) != len(encoded.tilings):
        raise InputError(
            f"marks of {len(sample.marks)} pictures for {len(encoded.tilings)}", rule="each picture has its marks"
        )
    labels_T, geometry = encoded.labels.clone(), processor.geometry
    places = encoded.images_seq_mask.nonzero().flatten()
    for marks, tiling, count in zip(sample.marks, encoded.tilings, encoded.num_image_tokens, strict=True):
        own, places = places[:count], places[count:]
        plan = geometry.layout.plan(tiling.grid, geometry.grid, geometry.overview).tolist()
        place_of = {address: place for place, address in enumerate(plan)}
        for address, mark in nearest(geometry, tiling, marks).items():
            place = place_of.get(address)
            if place is not None and int(own[place]) + 1 < len(labels_T):
                labels_T[own[place] + 1] = processor.tokenizer.encode(mark.text)[0]
    return labels_T


def nearest(geometry: ImageGeometry, tiling: Tiling, marks: Sequence[Mark]) -> dict[int, Mark]:
    """The mark of each feature that shows one, by the feature's address in the layout's plan."""
    found: dict[int, tuple[float, Mark]] = {}
    for mark in marks:
        for address, distance in shown(geometry, tiling, mark):
            if address not in found or distance < found[address][0]:
                found[address] = distance, mark
    return {address: mark for address, (_, mark) in found.items()}


def shown(geometry: ImageGeometry, tiling: Tiling, mark: Mark) -> Iterator[tuple[int, float]]:
    """Addresses of the features that show a mark, and its squared distance from their middle, in features."""
    grid, overview = geometry.grid, geometry.overview
    if visible(mark, tiling.image_size, tiling.placed_globally):
        x, y = placed(mark, tiling.image_size, tiling.placed_globally)
        row, col, distance = cell(x, y, Size(*tiling.overview), overview)
        yield row * overview.cols + col, distance
    if visible(mark, tiling.image_size, tiling.placed):
        x, y = placed(mark, tiling.image_size, tiling.placed)
        across = Grid(tiling.grid.rows * grid.rows, tiling.grid.cols * grid.cols)
        row, col, distance = cell(x, y, Size(*tiling.resolution), across)
        (tile_row, y_in), (tile_col, x_in) = divmod(row, grid.rows), divmod(col, grid.cols)
        tile = tile_row * tiling.grid.cols + tile_col
        if tile < geometry.layout.tile_count(tiling.grid):
            yield overview.area + tile * grid.area + y_in * grid.cols + x_in, distance


def visible(mark: Mark, image_size: Size, box: Box) -> bool:
    """Whether a mark is large enough when its picture is scaled into a box."""
    return mark.size is None or mark.size * (box.right - box.left) >= SMALLEST * image_size.width


def placed(mark: Mark, image_size: Size, box: Box) -> tuple[float, float]:
    """Where a mark comes to lie when its picture is scaled into a box."""
    return (
        box.left + mark.x * (box.right - box.left) / image_size.width,
        box.upper + mark.y * (box.lower - box.upper) / image_size.height,
    )


def cell(x: float, y: float, size: Size, grid: Grid) -> tuple[int, int, float]:
    """Row and column of the cell at a place, and the squared distance from its middle in cells."""
    across, down = x / size.width * grid.cols, y / size.height * grid.rows
    col, row = min(max(int(across), 0), grid.cols - 1), min(max(int(down), 0), grid.rows - 1)
    return row, col, (across - col - 0.5) ** 2 + (down - row - 0.5) ** 2
