"""Pictures without text of this task, on which a reader had better believe nothing that it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from importlib.resources import as_file, files
from random import Random

from PIL import Image, ImageOps

from vlkit.notation import Size
from vlkit.printed_text.composing import PageConfig, compose
from vlkit.printed_text.page import Colour, render
from vlkit.printed_text.words import SHORTEST
from vlkit.tiling import Box

SIGN = Box(690, 412, 896, 522)
"""Where printed text is on the picture that comes with vlkit: no crop touches it."""
LARGEST = 4.0
"""Side of the largest crop, as a multiple of the format's."""
PART = 0.6
"""Most that a crop takes of the picture's width and height, so that there is room for it beside the sign."""
SMALL_LETTERS = "adehmnr"
"""Small letters that look like no capital and no digit: a c or an s could rightly be read as one, a q as a 9."""


def other_pictures(pages: PageConfig, count: int, *, seed: int = 0) -> dict[str, list[Image.Image]]:
    """So many pictures of each kind, in the sizes of pages; the same seed always gives the same ones.

    Args:
        pages: their formats are taken, and for text in lower case all else.
        count: of each kind.
        seed: of the chance.
    """
    return {
        kind: [make(pages, Random(f"{seed} {kind} {number}")) for number in range(count)]
        for kind, make in KINDS.items()
    }


def photo_crop(pages: PageConfig, random: Random) -> Image.Image:
    """Part of the picture that comes with vlkit, beside the sign with text on it."""
    picture, (wide, high) = _photo(), random.choice(pages.formats)
    most = min(LARGEST, PART * picture.width / wide, PART * picture.height / high)
    while True:
        factor = random.uniform(min(1.0, most), most)
        width, height = round(wide * factor), round(high * factor)
        left, upper = random.randint(0, picture.width - width), random.randint(0, picture.height - height)
        box = Box(left, upper, left + width, upper + height)
        if not _overlap(box, SIGN):
            return picture.crop(box)


def noise(pages: PageConfig, random: Random) -> Image.Image:
    """Every pixel at random, in grey or in colours."""
    size = _size(pages, random)
    mode = random.choice(("L", "RGB"))
    return Image.frombytes(mode, size, random.randbytes(size.width * size.height * len(mode))).convert("RGB")


def gradient(pages: PageConfig, random: Random) -> Image.Image:
    """From one colour to another, in any direction."""
    size = _size(pages, random)
    ramp = random.choice((Image.linear_gradient, Image.radial_gradient))("L")
    turned = ramp.rotate(random.uniform(0, 360), Image.Resampling.BILINEAR).crop((48, 48, 208, 208)).resize(size)
    return ImageOps.colorize(turned, _colour(random), _colour(random))


def plain(pages: PageConfig, random: Random) -> Image.Image:
    """One colour."""
    return Image.new("RGB", _size(pages, random), _colour(random))


def lower_case(pages: PageConfig, random: Random) -> Image.Image:
    """A page as the task has it, with words of at least three characters, but in small letters."""
    longer = (max(SHORTEST, pages.length[0]), max(SHORTEST, pages.length[1]))
    page = compose(pages.replace(grids=0.0, length=longer), random)
    lines = tuple(tuple("".join(random.choices(SMALL_LETTERS, k=len(word))) for word in line) for line in page.lines)
    return render(replace(page, lines=lines)).image


KINDS: dict[str, Callable[[PageConfig, Random], Image.Image]] = {
    "crops of a drawing": photo_crop,
    "noise": noise,
    "gradients": gradient,
    "one colour": plain,
    "text in lower case": lower_case,
}
"""How a picture of each kind is made."""


@lru_cache(1)
def _photo() -> Image.Image:
    with as_file(files("vlkit") / "assets" / "demo.jpg") as file, Image.open(file) as opened:
        return opened.convert("RGB")


def _size(pages: PageConfig, random: Random) -> Size:
    scale, (wide, high) = random.uniform(*pages.scale), random.choice(pages.formats)
    return Size(round(wide * scale), round(high * scale))


def _colour(random: Random) -> Colour:
    return random.randrange(256), random.randrange(256), random.randrange(256)


def _overlap(first: Box, second: Box) -> bool:
    return (
        first.left < second.right
        and second.left < first.right
        and first.upper < second.lower
        and second.upper < first.lower
    )
