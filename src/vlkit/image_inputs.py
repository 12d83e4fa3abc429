"""The tensors that carry the images of a batch, checked against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from operator import attrgetter

import torch
from torch import Tensor

from vlkit.errors import InputError, ShapeError
from vlkit.notation import Grid
from vlkit.text_inputs import require_one_per_position


@dataclass(frozen=True)
class ImageInputs:
    """Images of a batch as the official code passes them.

    Args:
        images: float[B, n, 3, height, width], per sample each image's global view, then its tiles; only the tiles if
            the global views are given apart. Zeros fill up.
        places: bool[B, T], True at image positions (`images_seq_mask`).
        tile_grids: tile rows and columns of each image of each sample.
        global_views: float[B, m, 3, height', width'], per sample one of each image, or None.
        tile_count: number of an image's tiles that are encoded; by default all.
    """

    images: Tensor
    places: Tensor
    tile_grids: list[list[Grid]]
    global_views: Tensor | None = None
    tile_count: Callable[[Grid], int] = attrgetter("area")

    @classmethod
    def gather(
        cls,
        images: Tensor | None,
        images_seq_mask: Tensor | None,
        images_spatial_crop: Tensor | None,
        global_views: Tensor | None = None,
        *,
        samples: int,
        tile_count: Callable[[Grid], int] = attrgetter("area"),
    ) -> ImageInputs | None:
        """Images of `samples` samples; None if there are none.

        Args:
            images_spatial_crop: int64[B, m, 2], tiles across and down per image; (0, 0) ends a sample's list.
            tile_count: number of an image's tiles that are encoded; by default all.

        Raises:
            InputError: if tensors that belong together are missing, or are no pixels or whole numbers.
            ShapeError: if their shapes do not fit each other.
        """
        tile_grids = _tile_grids(images_spatial_crop, samples=samples)
        if not any(tile_grids):
            if images_seq_mask is not None and bool(images_seq_mask.any()):
                raise InputError(
                    "images_seq_mask has places for images, but images_spatial_crop names none",
                    rule="every place in the text belongs to an image",
                    remedy="pass images and images_spatial_crop as the processor made them",
                )
            return None
        if images is None or images_seq_mask is None:
            missing = "images" if images is None else "images_seq_mask"
            raise InputError(
                f"images_spatial_crop is given without {missing}",
                rule="images, images_seq_mask and images_spatial_crop belong together",
                remedy="pass all that the processor made",
            )
        inputs = cls(images, images_seq_mask.bool(), tile_grids, global_views, tile_count)
        _require_pixels("images", images, inputs.views, tile_grids)
        if global_views is not None:
            _require_pixels("global_views", global_views, [len(grids) for grids in tile_grids], tile_grids)
        return inputs

    @property
    def views(self) -> list[int]:
        """Number of views of each sample that `images` holds."""
        together = int(self.global_views is None)
        return [sum(together + self.tile_count(tiles) for tiles in grids) for grids in self.tile_grids]

    @property
    def pixels(self) -> Tensor:
        """Views in `images` that are used, one after the other, float[N, 3, height, width]."""
        return torch.cat([row[:count] for row, count in zip(self.images, self.views, strict=True)])

    @property
    def overviews(self) -> Tensor | None:
        """Global views that are given apart, one after the other, float[N, 3, height', width']."""
        if self.global_views is None:
            return None
        return torch.cat([row[: len(grids)] for row, grids in zip(self.global_views, self.tile_grids, strict=True)])

    def require_places(self, positions: tuple[int, int], count: Callable[[Grid], int]) -> None:
        """Compare the number of image tokens with the places in the text.

        Args:
            positions: samples B and positions T of the text.
            count: tokens of an image with these tiles.

        Raises:
            ShapeError: if the places have another shape than the text, or naming the first sample in which they differ.
        """
        require_one_per_position("images_seq_mask", self.places, positions)
        for row, (grids, places) in enumerate(zip(self.tile_grids, self.places.sum(dim=1).tolist(), strict=True)):
            counts = [count(tiles) for tiles in grids]
            if sum(counts) != places:
                raise ShapeError(
                    f"sample {row}: images of {[str(tiles) for tiles in grids]} tiles take {counts} tokens, "
                    f"{sum(counts)} in all, but images_seq_mask has {places} places",
                    rule="every image token has one place, and every place one token",
                    remedy="let one processor with this model's layout make ids, mask and crops",
                )


def _tile_grids(images_spatial_crop: Tensor | None, *, samples: int) -> list[list[Grid]]:
    if images_spatial_crop is None:
        return [[] for _ in range(samples)]
    if images_spatial_crop.ndim != 3 or len(images_spatial_crop) != samples or images_spatial_crop.shape[2] != 2:
        raise ShapeError(
            f"images_spatial_crop of shape {list(images_spatial_crop.shape)} for {samples} samples",
            rule=f"it is int64[{samples}, m, 2] with tiles across and tiles down",
        )
    if images_spatial_crop.is_floating_point() or bool((images_spatial_crop < 0).any()):
        raise InputError(
            f"images_spatial_crop {images_spatial_crop.tolist()}", rule="numbers of tiles are whole numbers from 0"
        )
    return [[Grid(down, across) for across, down in takewhile(all, crops)] for crops in images_spatial_crop.tolist()]


def _require_pixels(name: str, pixels: Tensor, views: list[int], tile_grids: list[list[Grid]]) -> None:
    """Refuse what is no pixels of so many views per sample, followed by nothing but zeros."""
    if not pixels.is_floating_point():
        raise InputError(
            f"{name} of {pixels.dtype}",
            rule="pixels are floating-point numbers, normalised as the checkpoint's processor does it",
            remedy="let the processor make them from pictures",
        )
    needed = max(views)
    if pixels.ndim != 5 or len(pixels) != len(views) or pixels.shape[1] < needed:
        raise ShapeError(
            f"{name} of shape {list(pixels.shape)}",
            rule=f"float[{len(views)}, n, 3, height, width] with n of at least {needed} for tile grids "
            f"{[[str(tiles) for tiles in grids] for grids in tile_grids]}",
        )
    unused = torch.arange(pixels.shape[1]) >= torch.tensor(views)[:, None]
    if bool(pixels[unused.to(pixels.device)].any()):
        raise ShapeError(
            f"{name} has pixels behind the {views} views of each sample that images_spatial_crop names",
            rule="what is behind a sample's views is zero",
            remedy="name every image in images_spatial_crop, and give it its places in the text",
        )
