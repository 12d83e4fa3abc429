"""Fonts for printed text: faces of packages from the index, Pillow's own, or files by their path."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from PIL import ImageFont

from vlkit.errors import InputError, did_you_mean

Font = ImageFont.FreeTypeFont

PILLOW = "pillow"
"""The face that Pillow itself brings."""

CACHED = 4096
"""Most fonts, each of one face in one size, that are kept open."""


class Package(NamedTuple):
    """Where the faces of a family are.

    Args:
        distribution: name on the package index.
        module: name of the importable package, which holds the files in its folder `files`.
        faces: file of each face by its short name.
    """

    distribution: str
    module: str
    faces: dict[str, str]


def _package(module: str, stem: str, kind: str, *names: str) -> Package:
    return Package(module.replace("_", "-"), module, {name.lower(): f"{stem}-{name}.{kind}" for name in names})


PACKAGES = {
    "roboto": _package("font_roboto", "Roboto", "ttf", "Regular", "Light", "Medium", "Bold", "Black", "Italic"),
    "source-sans": _package(
        "font_source_sans_pro", "SourceSansPro", "ttf", "Regular", "Light", "Semibold", "Bold", "It"
    ),
    "source-serif": _package("font_source_serif_pro", "SourceSerifPro", "ttf", "Regular", "Semibold", "Bold", "It"),
    "hanken-grotesk": _package(
        "font_hanken_grotesk", "HankenGrotesk", "otf", "Regular", "Light", "Medium", "Bold", "Italic"
    ),
    "manrope": _package("font_manrope", "Manrope", "ttf", "Regular", "Light", "Medium", "Bold"),
    "caladea": _package("font_caladea", "Caladea", "ttf", "Regular", "Bold", "Italic"),
    "fredoka-one": _package("font_fredoka_one", "FredokaOne", "ttf", "Regular"),
}
"""Families by name."""


def faces(family: str) -> tuple[str, ...]:
    """Names of the faces of a family, such as `roboto/bold`; a path is the one face of its own.

    Raises:
        InputError: if there is neither such a family nor such a file.
    """
    if family == PILLOW or Path(family).is_file():
        return (family,)
    if family not in PACKAGES:
        raise InputError(
            f"no font is called {family!r}; {did_you_mean(family, [PILLOW, *PACKAGES])}",
            rule="a font is the name of a family or the path of a font file",
        )
    return tuple(f"{family}/{face}" for face in PACKAGES[family].faces)


@lru_cache(CACHED)
def load(face: str, size: int) -> Font:
    """Font of a face, `size` pixels high.

    Raises:
        InputError: if it cannot be found or opened.
    """
    try:
        if face == PILLOW:
            font = ImageFont.load_default(size)
            if isinstance(font, Font):
                return font
            raise OSError("this Pillow was built without FreeType")
        return ImageFont.truetype(_file(face), size, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise InputError(f"font {face!r} cannot be opened: {error}", remedy="take another font") from None


@lru_cache
def _file(face: str) -> Path:
    family, _, name = face.partition("/")
    if family not in PACKAGES:
        return Path(face)
    package = PACKAGES[family]
    found = find_spec(package.module)
    if found is None or found.origin is None:
        raise InputError(
            f"font {face!r} is not installed",
            rule="vlkit brings no fonts; they come from packages of their own",
            remedy=f'pip install "vlkit[fonts]", or {package.distribution} alone',
        )
    return Path(found.origin).parent / "files" / package.faces[name]
