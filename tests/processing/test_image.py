"""Pictures: every form gives the same pixels, and nothing harmful is decoded."""

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from vlkit.errors import InputError
from vlkit.processing.image import load, pixels, view, views
from vlkit.tiling import Tiling, fit_inside

RANDOM = np.random.default_rng(0).integers(0, 256, (7, 11, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def array_of(image: Image.Image) -> Any:
    return np.asarray(image)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_every_form_gives_the_same_picture(tmp_path: Path) -> None:
    image = Image.fromarray(RANDOM)
    data = encoded(image)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    tensor = torch.from_numpy(RANDOM)
    forms = [
        image,
        path,
        str(path),
        data,
        bytearray(data),
        memoryview(data),
        "data:image/png;base64," + base64.b64encode(data).decode(),
        RANDOM,
        np.asfortranarray(RANDOM),
        np.dstack([RANDOM, RANDOM[:, :, :1]]),
        tensor,
        tensor.permute(2, 0, 1),
        tensor.permute(2, 0, 1).contiguous(),
    ]
    for form in forms:
        loaded = load(form)
        assert loaded.mode == "RGB"
        assert np.array_equal(array_of(loaded), RANDOM)


def test_grey_arrays_become_grey_pictures() -> None:
    grey = RANDOM[:, :, 0]
    for form in (grey, grey[:, :, None], torch.from_numpy(grey)[None], torch.from_numpy(grey.copy())):
        assert np.array_equal(array_of(load(form)), np.dstack([grey] * 3))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    assert load(Image.new(mode, (3, 2))).mode == "RGB"


def test_transparency_is_dropped_as_in_the_official_processor() -> None:
    rgba = np.dstack([RANDOM, np.zeros((7, 11), np.uint8)])
    assert np.array_equal(array_of(load(encoded(Image.fromarray(rgba)))), RANDOM)
    palette = Image.fromarray(RANDOM).quantize(16)
    transparent = encoded(palette, transparency=bytes(range(16)))
    assert np.array_equal(array_of(load(transparent)), array_of(palette.convert("RGB")))


def test_sixteen_bits_are_scaled() -> None:
    deep = np.array([[0, 257, 65535, 32896, 300]], dtype=np.uint16)
    right = [0, 1, 255, 128, 1]
    assert array_of(load(encoded(Image.fromarray(deep))))[0, :, 0].tolist() == right
    assert array_of(load(Image.fromarray(deep.astype(np.int32))))[0, :, 0].tolist() == right


def test_first_frame_stands_for_an_animation() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "PNG", "WEBP"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        red, green, _ = array_of(load(data))[0, 0].tolist()
        assert (red, green) == (255, 0) or (red > 250 and green < 5)


def test_orientation_is_applied_if_asked_for() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (6, 2)), "JPEG", exif=exif.tobytes())
    assert load(data).size == (6, 2)
    upright = load(data, upright=True)
    assert upright.size == (2, 6)
    assert load(upright, upright=True).size == (2, 6)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_truncated_files_are_refused(kind: str) -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(image, kind)
    assert load(data).size == (64, 64)
    for length in (0, 1, 10, len(data) // 2):
        with pytest.raises(InputError):
            load(data[:length])


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_picture_or_a_clear_error(data: bytes) -> None:
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"P6\n", b"II*\x00", b"\xff\xd8\xff"):
        try:
            assert load(start + data, max_pixels=10_000).mode == "RGB"
        except InputError as error:
            assert error.problem


def test_size_in_the_header_is_checked_before_anything_is_decoded(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png_header(60_000, 60_000))
    with pytest.raises(InputError, match="too large"):
        load(bomb)
    bomb.write_bytes(png_header(13_000, 13_000))
    with pytest.raises(InputError, match=r"13000x13000 pixels[\s\S]*max_pixels"):
        load(bomb, max_pixels=10**8)
    with pytest.raises(InputError, match="pixels"):
        load(Image.new("L", (100, 100)), max_pixels=9_999)
    with pytest.raises(InputError, match="pixels"):
        load(np.zeros((100, 100), np.uint8), max_pixels=9_999)


def test_what_is_no_picture_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "print.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    names = ["", "empty.png", "text.png", "print.eps", "missing.png", "a" * 10_000, "nul\0"]
    for form in [*(tmp_path / name for name in names), *(str(tmp_path / name) for name in names)]:
        with pytest.raises(InputError) as error:
            load(form)
        assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    "picture",
    [
        None,
        3,
        [1, 2],
        "",
        "https://example.org/a.png",
        "data:image/png;base64,@@@@",
        "data:image/png,abc",
        "data:image/png;base64",
        "data:image/png;base64,\u8bf7",
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.uint8(3),
        np.array([["a"]]),
        torch.zeros(3, 4, 4),
        torch.zeros(2, 4, 5, dtype=torch.uint8),
        torch.zeros(0, dtype=torch.uint8),
        torch.tensor(3, dtype=torch.uint8),
        Image.new("F", (3, 3)),
        Image.new("RGB", (0, 3)),
    ],
)
def test_unusable_pictures_are_refused_with_a_rule_or_remedy(picture: Any) -> None:
    with pytest.raises(InputError) as error:
        load(picture)
    assert error.value.rule or error.value.remedy


def test_network_addresses_are_never_fetched() -> None:
    with pytest.raises(InputError, match="download"):
        load("http://127.0.0.1:9/a.png")


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(1, 40))
def test_view_lies_where_fit_inside_says(width: int, height: int, frame_width: int, frame_height: int) -> None:
    frame, fill = (frame_width, frame_height), (1, 2, 3)
    seen = array_of(view(Image.new("RGB", (width, height), "white"), frame, fill))
    right = np.full((frame_height, frame_width, 3), fill, np.uint8)
    box = fit_inside((width, height), frame)
    right[box.upper : box.lower, box.left : box.right] = 255
    assert np.array_equal(seen, right)


def test_view_is_pillows_pad() -> None:
    image = Image.fromarray(RANDOM)
    assert view(image, (30, 40), (9, 8, 7)).tobytes() == ImageOps.pad(image, (30, 40), color=(9, 8, 7)).tobytes()


def test_views_are_the_global_view_and_the_tiles_of_the_fitted_picture() -> None:
    image = Image.fromarray(RANDOM)
    tiling = Tiling.choose(image.size, [(4, 4), (12, 8)])
    overview, *tiles = views(image, tiling, (0, 0, 0))
    assert overview.tobytes() == view(image, (4, 4), (0, 0, 0)).tobytes()
    stitched = np.vstack([np.hstack([array_of(tile) for tile in tiles[row : row + 3]]) for row in (0, 3)])
    assert np.array_equal(stitched, array_of(view(image, (12, 8), (0, 0, 0))))


def test_pixels_are_normalised_in_float32() -> None:
    images = [Image.fromarray(RANDOM), Image.fromarray(RANDOM[::-1].copy())]
    plain = pixels(images)
    assert plain.shape == (2, 3, 7, 11)
    assert torch.equal(plain[0], torch.from_numpy(RANDOM).permute(2, 0, 1).float() / 255)
    mean, std = (0.48, 0.45, 0.4), (0.26, 0.25, 0.27)
    right = (plain - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    assert torch.equal(pixels(images, mean, std), right)
