"""Laws of encoders: tiles in, the declared grid of features out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vlkit.notation import Size
from vlkit.testing.gradient_laws import gradients, input_gradient
from vlkit.testing.law import Broken, law
from vlkit.testing.shapes import require_grid, require_refusal

if TYPE_CHECKING:
    from vlkit.testing.encoder import EncoderSubject


@law(weights=False)
def declared(subject: EncoderSubject) -> None:
    """The config says its width, tile size, patch and normalisation in numbers that make sense."""
    config = subject.config
    if type(config.feature_dim) is not int or config.feature_dim < 1:
        raise Broken(f"feature_dim is {config.feature_dim!r}", likely="it is divided with / instead of //")
    for name in ("tile_size", "cell_size"):
        size = getattr(config, name)
        if not isinstance(size, Size) or any(type(side) is not int for side in size) or min(size) < 1:
            raise Broken(f"{name} is {size!r}", remedy="give a vlkit.notation.Size, width before height")
    if not subject.takes(config.tile_size):
        raise Broken(
            f"check_size refuses its own tile size {config.tile_size}",
            likely="width and height are swapped, or the patch does not divide the side",
        )
    for name, least in (("pixel_mean", 0.0), ("pixel_std", 1e-6)):
        values = getattr(config, name)
        if len(values) != 3 or not all(least <= value <= 1.0 for value in values):
            raise Broken(
                f"{name} is {values!r}",
                likely="it is meant for pixels of 0 to 255",
                remedy="give three numbers, red green blue, for pixels of 0 to 1",
            )


@law(weights=False, crash="forward depends on a fixed size")
def grid(subject: EncoderSubject) -> None:
    """For every size of tile that is taken, forward gives the declared grid, of the declared width."""
    part, device = subject.part_for_shapes()
    for number, size in enumerate(subject.sizes):
        samples = number % 2 + 1
        with torch.no_grad():
            found = subject.output(part, subject.x(samples, dtype=torch.float32, size=size).to(device))
        require_grid(
            found,
            subject.config.grid_out(size),
            samples=samples,
            width=subject.config.feature_dim,
            given=f"tiles of {size}",
        )


@law()
def pixels(subject: EncoderSubject) -> None:
    """Every patch of pixels, in each of its colours, matters for the features."""
    size, cell = subject.config.tile_size, subject.config.cell_size
    rows, cols = subject.config.grid_out(size)
    reached = input_gradient(subject, subject.x(samples=1))[0]
    for row in range(rows):
        for col in range(cols):
            patch = reached[:, row * cell.height : (row + 1) * cell.height, col * cell.width : (col + 1) * cell.width]
            if not bool(patch.flatten(1).any(dim=1).all()):
                raise Broken(
                    f"the patch at row {row}, column {col} of {rows}x{cols} has a colour that no gradient reaches",
                    likely="forward drops a row, a column or a channel",
                    remedy="pad, or declare a smaller grid",
                )


@law()
def wrong_shape(subject: EncoderSubject) -> None:
    """Pixels of another shape are refused with a ShapeError."""
    part, (width, height) = subject.part(torch.float32), subject.config.tile_size
    shapes = [(3, height, width), (1, 1, height, width), (1, 1, 3, height, width), (1, height, width, 3)]
    shapes += [
        (1, 3, size.height, size.width)
        for size in (Size(width + 1, height), Size(width, height + 1), Size(1, 1))
        if not subject.takes(size)
    ]
    for shape in shapes:
        require_refusal(subject, part, torch.zeros(shape), "self.require_pixels(pixels)")


ENCODER_LAWS = (grid, wrong_shape, gradients, pixels)
