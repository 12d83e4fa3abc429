"""Chance: from the settings of a task to one page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from pydantic import Field, model_validator

from vlkit.config import Config, Count
from vlkit.errors import ConfigError
from vlkit.notation import Size
from vlkit.printed_text.fonts import faces
from vlkit.printed_text.page import CAPITAL, Colour, Page, measure
from vlkit.printed_text.words import SHORTEST, Split, random_word

TRAINED_FONTS = ("pillow", "roboto", "source-sans", "source-serif", "hanken-grotesk", "fredoka-one")
"""Families to train on; `manrope` and `caladea` are kept for evaluation."""

FORMATS = ((48, 48), (96, 48), (48, 96), (144, 48), (192, 48), (96, 96))
"""Widths and heights of pictures, before they are scaled and cut to chance."""

MARGIN = 3
"""Least distance of the text from the edge of the picture, in pixels."""
EASY_FONT = 0.5
"""Range of font sizes of the easiest pages, as a share of the whole range."""
EASY_PITCH = 16
"""Distance of characters on the first grids, in pixels: that of a model's image tokens is the easiest to read."""
GRIDS_ONLY = 0.15
"""Part of the growth in which characters stand on grids, where reading them is learned fastest."""
JITTER = 2.0
"""Most that a grid is shifted by, in pixels."""
GAP = 2.0
"""Least difference of ink and paper, as a ratio of their luminances."""


class PageConfig(Config):
    """What pictures of printed text look like."""

    split: Split = "train"
    """Which of the random words are used."""
    fonts: tuple[str, ...] = Field(default=TRAINED_FONTS, min_length=1)
    """Families of fonts, or paths of font files."""
    formats: tuple[tuple[Count, Count], ...] = Field(default=FORMATS, min_length=1)
    """Widths and heights in pixels, before `scale` and `trim`."""
    scale: tuple[float, float] = (0.8, 1.0)
    """Smallest and largest factor on format and font, so that pictures have to be scaled to the model's tiles."""
    trim: float = Field(default=0.15, ge=0, le=0.5)
    """Most that is taken off one side, as a share of it."""
    font_size: tuple[float, float] = (17, 30)
    """Smallest and largest font in pixels, before `scale`."""
    length: tuple[Count, Count] = (1, 10)
    """Fewest and most characters of a word."""
    words_per_line: Count = 2
    """Most words of a line."""
    lines: Count = 3
    """Most lines."""
    single_line: int = Field(default=1, ge=0, le=100)
    """How often a page gets one line at once, to every time that any number of lines up to `lines` is drawn."""
    full: float = Field(default=0.0, ge=0, le=1)
    """Share of pages with as many words and lines as there is room for."""
    coloured: float = Field(default=0.6, ge=0, le=1)
    """Share of pages in colours; the others are dark on light, or light on dark half as often as the coloured ones."""
    spread: float = Field(default=1.0, ge=0, le=1)
    """How far the text may be from the middle; 0: not at all, 1: anywhere."""
    grids: float = Field(default=0.0, ge=0, le=1)
    """Share of pages whose characters stand on a regular grid that fills the format."""
    grid_pitch: tuple[float, float] = (13, 28)
    """Smallest and largest distance of characters on a grid, in pixels."""
    angle: float = Field(default=3.0, ge=0, le=45)
    """Most degrees that a page is turned by."""
    noise: float = Field(default=0.15, ge=0, lt=1)
    """Most noise that is blended in."""

    @model_validator(mode="after")
    def _check(self) -> PageConfig:
        for name in ("scale", "font_size", "length", "grid_pitch"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ConfigError(f"{name} {(low, high)}", rule="two positive numbers, the smaller one first")
        if self.split == "held_out" and self.length[0] < SHORTEST:
            raise ConfigError(
                f"length {self.length} of held-out words",
                rule=f"words of fewer than {SHORTEST} characters are all trained on",
                remedy=f"begin at {SHORTEST}",
            )
        return self


def eased(config: PageConfig, growth: float) -> PageConfig:
    """Settings of easier pages, for the beginning of a training.

    Args:
        config: the settings in the end.
        growth: 0 for characters on a grid in the first format, 1 for all that `config` allows.
    """
    if growth >= 1:
        return config
    (low, high), shortest = config.font_size, config.length[0]
    soon, grids_only = min(2 * growth, 1.0), growth < GRIDS_ONLY
    return config.replace(
        fonts=config.fonts[: max(2, math.ceil(soon * len(config.fonts)))],
        coloured=soon * config.coloured,
        formats=config.formats[: 2 if grids_only else len(config.formats)],
        font_size=(low, high - (1 - growth) * (1 - EASY_FONT) * (high - low)),
        length=(shortest, max(shortest, round((0.5 + growth / 2) * config.length[1]))),
        grids=max(config.grids, 1.0 if grids_only else 0.6 * (1 - growth)),
        grid_pitch=tuple(EASY_PITCH + min(3 * growth, 1.0) * (end - EASY_PITCH) for end in config.grid_pitch),
        trim=growth * config.trim,
        spread=soon * config.spread,
        angle=growth * config.angle,
        noise=growth * config.noise,
    )


def compose(config: PageConfig, random: Random, form: tuple[int, int] | None = None) -> Page:
    """A page as the settings allow.

    Args:
        config: the settings.
        random: source of chance.
        form: one of the formats; None: any of them.
    """
    face = random.choice(faces(random.choice(config.fonts)))
    if random.random() < config.grids:
        return _grid(config, random, Size(*(form or random.choice(config.formats))), face)
    scale = random.uniform(*config.scale)
    trims = [1 - random.uniform(0, config.trim), 1.0]
    random.shuffle(trims)
    wide, high = form or random.choice(config.formats)
    size = Size(round(wide * scale * trims[0]), round(high * scale * trims[1]))
    low, high_px = config.font_size
    font_size = max(round(low * (high_px / low) ** random.random() * scale), 6)
    lines = _lines(config, random, size, font_size)
    width, ascent, descent = measure(lines, face, font_size)
    room = size.width - 2 * MARGIN
    if width > room:
        font_size = max(int(font_size * room / width), 6)
        width, ascent, descent = measure(lines, face, font_size)
    leading = round((ascent + descent) * random.uniform(0.9, 1.25))
    height = leading * (len(lines) - 1) + ascent + descent
    while height > size.height - 2 and len(lines) > 1:
        lines, height = lines[:-1], height - leading
    width = measure(lines, face, font_size)[0]
    left = (size.width - width) / 2 + random.uniform(-0.5, 0.5) * config.spread * max(room - width, 0.0)
    upper = (size.height - height) / 2 + random.uniform(-0.5, 0.5) * config.spread * max(size.height - height, 0.0)
    ink, paper = _colours(config, random)
    return Page(
        size=size,
        lines=lines,
        face=face,
        font_size=font_size,
        start=(round(left), round(upper)),
        leading=leading,
        angle=_angle(config, random, size, left, upper, width, height),
        ink=ink,
        paper=paper,
        noise=random.uniform(0, config.noise) if config.noise and random.random() < 0.5 else 0.0,
        noise_at=(random.randrange(256), random.randrange(256)),
    )


def _grid(config: PageConfig, random: Random, size: Size, face: str) -> Page:
    """A page full of characters at equal distances."""
    low, high = config.grid_pitch
    pitch = round(low * (high / low) ** random.random())
    columns, rows = max(size.width // pitch, 1), max(size.height // pitch, 1)
    font_size = max(round(pitch * random.uniform(0.75, 1.1)), 6)
    ink, paper = _colours(config, random)
    _, ascent, _ = measure((("X",),), face, font_size)
    upper = (pitch + CAPITAL * font_size) / 2 - ascent
    return Page(
        size=size,
        lines=tuple((random_word(random, columns, "train"),) for _ in range(rows)),
        face=face,
        font_size=font_size,
        start=(
            round((size.width - columns * pitch) / 2 + random.uniform(-JITTER, JITTER)),
            round((size.height - rows * pitch) / 2 + upper + random.uniform(-JITTER, JITTER)),
        ),
        leading=pitch,
        angle=0.0,
        ink=ink,
        paper=paper,
        noise=random.uniform(0, config.noise),
        noise_at=(random.randrange(256), random.randrange(256)),
        pitch=pitch,
    )


def _lines(config: PageConfig, random: Random, size: Size, font_size: int) -> tuple[tuple[str, ...], ...]:
    """Words that about fit into the picture."""
    capacity = max(int((size.width - 2 * MARGIN) / (0.62 * font_size)), config.length[0])
    room = max(int(size.height / (1.25 * font_size)), 1)
    most_lines, full = min(room, config.lines), bool(config.full) and random.random() < config.full
    lines = []
    for _ in range(room if full else random.choice((*[1] * config.single_line, random.randint(1, most_lines)))):
        left, words = capacity, []
        for _ in range(capacity if full else random.randint(1, config.words_per_line)):
            longest = min(config.length[1], left)
            if longest < config.length[0]:
                break
            length = random.choice((random.randint(config.length[0], longest), longest))
            words.append(random_word(random, length, config.split))
            left -= length + 1
        lines.append(tuple(words))
    return tuple(lines)


def _angle(
    config: PageConfig, random: Random, size: Size, left: float, upper: float, width: float, height: float
) -> float:
    """Angle that turns no text out of the picture."""
    angle = random.uniform(-config.angle, config.angle) if random.random() < 0.6 else 0.0
    middle_x, middle_y = size.width / 2, size.height / 2
    reach_x = max(middle_x - left, left + width - middle_x)
    reach_y = max(middle_y - upper, upper + height - middle_y)
    # the far corner moves by about the other reach times the sine
    room = min((middle_y - reach_y + 3) / reach_x, (middle_x - reach_x) / reach_y)
    most = math.degrees(max(room, 0.0))
    return round(max(-most, min(angle, most)), 2)


def _colours(config: PageConfig, random: Random) -> tuple[Colour, Colour]:
    """Ink and paper that differ clearly."""
    while True:
        if random.random() >= config.coloured:
            dark, light = (random.randrange(0, 60),) * 3, (random.randrange(200, 256),) * 3
            pair: list[Colour] = [dark, light]
        else:
            pair = [(random.randrange(256), random.randrange(256), random.randrange(256)) for _ in range(2)]
        if random.random() < config.coloured / 2:
            pair.reverse()
        one, other = map(_luminance, pair)
        if max(one, other) + 20 > GAP * (min(one, other) + 20) and abs(one - other) > 80:
            return pair[0], pair[1]


def _luminance(colour: Sequence[int]) -> float:
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
