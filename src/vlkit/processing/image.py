"""Pictures: opened safely, fitted and padded, cut into tiles, turned into numbers."""

from __future__ import annotations

import base64
import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from einops import rearrange
from PIL import Image, ImageOps
from torch import Tensor

from vlkit.errors import InputError
from vlkit.tiling import Box, Tiling, fit_inside

MAX_PIXELS = 178_956_970
"""Most pixels that a picture may have before it is decoded: Pillow's own limit."""

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""File formats that are opened; formats that start other programs (EPS) or are rarely tested are not."""

Picture: TypeAlias = Any
"""Pillow image; path; `data:` URL; bytes of a file; uint8 array [H, W] or [H, W, C]; uint8 tensor, also [C, H, W]."""


def load(picture: Picture, *, max_pixels: int = MAX_PIXELS, upright: bool = False) -> Image.Image:
    """RGB picture from any of the forms of `Picture`.

    As in the official processors transparency is dropped. The first frame stands
    for an animation, and the current one for a Pillow image. Unlike there, 16-bit grey is scaled instead of clipped.
    A tensor whose first and last axis both have 1, 3 or 4 entries is read as [C, H, W].

    Args:
        picture: what to open; a path is read from the local disk, nothing is fetched from a network.
        max_pixels: most pixels that the header may announce.
        upright: whether a picture is turned as its EXIF orientation says, as a camera shows it.

    Raises:
        InputError: if it is no picture, damaged, empty, or larger than `max_pixels`.
    """
    with _decoding(picture):
        if isinstance(picture, Image.Image):
            return _to_rgb(_turned(_within(picture, max_pixels), upright=upright))
        if isinstance(picture, str | Path | bytes | bytearray | memoryview):
            Image.init()
            known = [name for name in FORMATS if name in Image.OPEN]
            with Image.open(_source(picture), formats=known) as opened:
                return _to_rgb(_turned(_within(opened, max_pixels), upright=upright))
        if isinstance(picture, Tensor) or hasattr(picture, "__array_interface__"):
            return _to_rgb(_within(_from_array(picture), max_pixels))
    raise InputError(
        f"a picture cannot be a {type(picture).__name__}",
        rule="a picture is a Pillow image, a path, a data: URL, bytes, or an uint8 array or tensor",
    )


@contextlib.contextmanager
def _decoding(picture: Picture) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{_shown(picture)} is too large: {error}", remedy="shrink it first") from None
    except Exception as error:  # decoders raise nearly every kind of error on damaged data
        raise InputError(
            f"{_shown(picture)} cannot be read as a picture: {error!s:.200}",
            rule=f"files are whole and one of {', '.join(FORMATS)}",
            remedy="open it with another program and save it as PNG",
        ) from None


def _shown(picture: Picture) -> str:
    text = repr(str(picture)) if isinstance(picture, str | Path) else f"the {type(picture).__name__}"
    return text if len(text) <= 100 else f"{text[:80]}... ({len(text)} characters)"


def _source(picture: str | Path | bytes | bytearray | memoryview) -> io.BytesIO | Path:
    if isinstance(picture, bytes | bytearray | memoryview):
        return io.BytesIO(picture)
    text = str(picture)
    if text.startswith(("http://", "https://")):
        raise InputError(
            f"{_shown(picture)} is on a network", rule="nothing is fetched", remedy="download it and pass path or bytes"
        )
    if isinstance(picture, str) and text.startswith("data:"):
        return io.BytesIO(_from_data_url(text))
    if not Path(picture).is_file():
        raise InputError(f"{_shown(picture)} is not a file", remedy="check the path")
    return Path(picture)


def _from_data_url(url: str) -> bytes:
    head, comma, body = url.partition(",")
    with contextlib.suppress(ValueError):
        if comma and head.endswith(";base64"):
            return base64.b64decode(body, validate=True)
    raise InputError(f"{_shown(url)} is not supported", rule="a data: URL reads data:image/png;base64,<valid base64>")


def _from_array(array: Any) -> Image.Image:
    shape, planes_first = tuple(array.shape), False
    if isinstance(array, Tensor):
        array = array.detach().cpu().numpy()
        planes_first = len(shape) == 3 and shape[0] in (1, 3, 4)
    channels = shape[0] if planes_first else shape[-1]
    if array.dtype != "uint8" or 0 in shape or not (len(shape) == 2 or (len(shape) == 3 and channels in (1, 3, 4))):
        raise InputError(
            f"an array {array.dtype}{list(shape)} is no picture",
            rule="pixels are uint8[H, W] or uint8[H, W, C] with 1, 3 or 4 channels, tensors also uint8[C, H, W]",
            remedy="scale to 0..255 and convert to uint8",
        )
    if planes_first:
        array = array.transpose(1, 2, 0)
    return Image.fromarray(array[:, :, 0] if array.shape[2:] == (1,) else array)


def _within(image: Image.Image, max_pixels: int) -> Image.Image:
    if not 0 < image.width * image.height <= max_pixels:
        raise InputError(
            f"the picture has {image.width}x{image.height} pixels",
            rule=f"a picture has 1 to {max_pixels} pixels",
            remedy="shrink it, or raise max_pixels",
        )
    return image


def _turned(image: Image.Image, *, upright: bool) -> Image.Image:
    return ImageOps.exif_transpose(image) if upright else image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "I;16", "I;16L", "I;16B"):
        return image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L").convert("RGB")
    if image.mode == "F":
        raise InputError("the picture holds floats", rule="pixels are integers", remedy="scale to 0..255 and to uint8")
    if image.mode == "La":
        image = image.convert("LA")
    return image.convert("RGB")


def view(image: Image.Image, frame: tuple[int, int], fill: tuple[int, ...]) -> Image.Image:
    """Picture scaled to fit in `frame` (width, height), centred, the rest in the colour `fill`: `PIL.ImageOps.pad`."""
    return fitted(image, frame, fit_inside(image.size, frame), fill)


def fitted(image: Image.Image, frame: tuple[int, int], placed: Box, fill: tuple[int, ...]) -> Image.Image:
    """Picture scaled to its place in `frame` (width, height), the rest in the colour `fill`.

    A picture so thin that its place has no area leaves only the colour, with every version of Pillow.
    """
    size = placed.right - placed.left, placed.lower - placed.upper
    if 0 in size:
        return Image.new("RGB", frame, fill)
    scaled = image.resize(size, Image.Resampling.BICUBIC)
    if size == tuple(frame):
        return scaled
    framed = Image.new("RGB", frame, fill)
    framed.paste(scaled, (placed.left, placed.upper))
    return framed


def views(image: Image.Image, tiling: Tiling, fill: tuple[int, ...]) -> list[Image.Image]:
    """Global view and tiles of a picture."""
    whole = fitted(image, tiling.resolution, tiling.placed, fill)
    overview = fitted(image, tiling.overview, tiling.placed_globally, fill)
    return [overview, *(whole.crop(box) for box in tiling.boxes)]


def pixels(
    images: Sequence[Image.Image], mean: Sequence[float] | None = None, std: Sequence[float] | None = None
) -> Tensor:
    """RGB pictures of one size as float[N, 3, height, width]: values / 255, minus `mean`, over `std`, if given."""
    stored = [torch.frombuffer(bytearray(i.tobytes()), dtype=torch.uint8).view(i.height, i.width, 3) for i in images]
    values = rearrange(torch.stack(stored), "n h w c -> n c h w").contiguous().float().div(255)
    if mean is not None:
        values = values.sub(torch.tensor(mean).view(3, 1, 1))
    if std is not None:
        values = values.div(torch.tensor(std).view(3, 1, 1))
    return values
