"""Paint the picture of the examples and the documentation: a lake at sunset, the same pixels on every run.

python tools/make_demo_picture.py src/vlkit/assets/demo.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

SIZE = (1000, 620)
FINER = 3
"""Everything is painted this many times larger and shrunk at the end, which smooths all edges."""
WATERLINE = 392
SUN = (688, 292)

Color = tuple[int, int, int]
Point = tuple[float, float]


def paint() -> Image.Image:
    """The finished picture."""
    image = with_reflection(scenery())
    balloon(image, x=256, y=128, radius=58, colors=((226, 74, 62), (250, 236, 208), (242, 166, 50)))
    balloon(image, x=520, y=92, radius=27, colors=((50, 138, 150), (250, 236, 208), (72, 178, 160)))
    shore(image)
    boat(image, x=438, y=452)
    signpost(image, x=792, y=424)
    for x, height in ((40, 250), (98, 196), (152, 138), (928, 132), (976, 206)):
        pine(image, x=x, foot=566, height=height, color=(22, 44, 54))
    return image.resize(SIZE, Image.Resampling.LANCZOS)


def scenery() -> Image.Image:
    """Everything above the waterline."""
    image = gradient([(0, (46, 58, 120)), (0.45, (178, 112, 146)), (0.78, (250, 176, 120)), (1, (255, 222, 158))])
    glow(image, SUN, radius=330, color=(255, 214, 140), strength=0.75)
    disc(image, SUN, radius=46, color=(255, 246, 214))
    clouds(image)
    ridge(image, seed=3, base=332, swing=150, color=(140, 104, 150), snow=True)
    ridge(image, seed=11, base=364, swing=62, color=(98, 82, 136))
    ridge(image, seed=23, base=380, swing=36, color=(58, 62, 106))
    forest(image, seed=5, base=WATERLINE, color=(30, 48, 78))
    return image


def gradient(stops: list[tuple[float, Color]]) -> Image.Image:
    """Colours from top to waterline, the last one down to the bottom."""
    width, height = scaled(SIZE)
    rows = np.linspace(0, SIZE[1] / WATERLINE, height)
    places, colors = zip(*stops)
    channels = [np.interp(rows, places, [color[i] for color in colors]) for i in range(3)]
    column = np.stack(channels, axis=-1)[:, None, :]
    return Image.fromarray(np.broadcast_to(column, (height, width, 3)).round().astype(np.uint8))


def glow(image: Image.Image, center: Point, *, radius: float, color: Color, strength: float) -> None:
    """Light that fades with the distance."""
    width, height = image.size
    x, y = scaled(center)
    rows, cols = np.mgrid[0:height, 0:width]
    distance = np.hypot(cols - x, rows - y) / (radius * FINER)
    alpha = np.clip(1 - distance, 0, 1) ** 2 * 255 * strength
    image.paste(Image.new("RGB", image.size, color), mask=Image.fromarray(alpha.astype(np.uint8)))


def clouds(image: Image.Image) -> None:
    """Soft flat clouds, lit from below."""
    for x, y, length, tone in (
        *((110, 66, 150, (226, 158, 168)), (360, 190, 120, (255, 206, 170)), (880, 100, 190, (232, 160, 160))),
        *((640, 170, 150, (255, 204, 160)), (930, 214, 110, (255, 198, 156))),
    ):
        mask = Image.new("L", image.size)
        pen = ImageDraw.Draw(mask)
        for shift, rise, part in ((-0.42, 3, 0.42), (-0.05, -5, 0.62), (0.34, 2, 0.5), (0.0, 6, 1.0)):
            half = length * part / 2
            middle = x + shift * length
            pen.ellipse(scaled((middle - half, y + rise - 8, middle + half, y + rise + 8)), fill=150)
        image.paste(Image.new("RGB", image.size, tone), mask=mask.filter(ImageFilter.GaussianBlur(5 * FINER)))


def ridge(image: Image.Image, *, seed: int, base: float, swing: float, color: Color, snow: bool = False) -> None:
    """Mountains: midpoints displaced again and again."""
    heights = rough_line(seed, swing)
    xs = np.linspace(0, SIZE[0], len(heights))
    ys = base - heights
    outline = [*zip(xs, ys), (SIZE[0], SIZE[1]), (0, SIZE[1])]
    pen = ImageDraw.Draw(image)
    pen.polygon(points(outline), fill=color)
    if snow:
        edge = np.maximum(ys, np.percentile(ys, 22) + rough_line(seed + 1, 20) + 9 * np.abs(xs / 13 % 2 - 1))
        pen.polygon(points([*zip(xs, ys), *zip(xs[::-1], edge[::-1])]), fill=(238, 208, 206))


def rough_line(seed: int, swing: float) -> npt.NDArray[np.float64]:
    """Heights of 1537 points along a line."""
    random = np.random.default_rng(seed)
    heights = random.uniform(-0.2, 1, 7) * swing
    while len(heights) < 1537:
        swing *= 0.52
        middles = (heights[1:] + heights[:-1]) / 2 + random.uniform(-0.5, 0.5, len(heights) - 1) * swing
        heights = np.insert(middles, range(len(middles)), heights[:-1])
        heights = np.append(heights, heights[-2])
    return heights[:1537]


def forest(image: Image.Image, *, seed: int, base: float, color: Color) -> None:
    """A far shore full of trees."""
    random = np.random.default_rng(seed)
    for x in np.arange(-4, SIZE[0] + 8, 6.0):
        pine(image, x=x + random.uniform(-2, 2), foot=base + 2, height=random.uniform(14, 30), color=color)
    ImageDraw.Draw(image).rectangle(scaled((0, base - 7, SIZE[0], base + 2)), fill=color)


def pine(image: Image.Image, *, x: float, foot: float, height: float, color: Color) -> None:
    """A tree of four triangles."""
    pen = ImageDraw.Draw(image)
    for layer in range(4):
        low, half = foot - height * (0.08 + layer * 0.2), height * (0.22 - layer * 0.042)
        pen.polygon(points([(x - half, low), (x + half, low), (x, low - height * 0.36)]), fill=color)
    pen.rectangle(scaled((x - height * 0.02, foot - height * 0.1, x + height * 0.02, foot)), fill=color)


def balloon(image: Image.Image, *, x: float, y: float, radius: float, colors: tuple[Color, ...]) -> None:
    """A hot-air balloon with vertical stripes."""
    pen = ImageDraw.Draw(image)
    body = Image.new("L", image.size)
    shape = ImageDraw.Draw(body)
    shape.ellipse(scaled((x - radius, y - radius, x + radius, y + radius)), fill=255)
    skirt = [(x - radius * 0.86, y + radius * 0.5), (x + radius * 0.86, y + radius * 0.5)]
    shape.polygon(
        points([*skirt, (x + radius * 0.2, y + radius * 1.42), (x - radius * 0.2, y + radius * 1.42)]), fill=255
    )
    stripes = Image.new("RGB", image.size, colors[0])
    stripe = ImageDraw.Draw(stripes)
    for index, part in enumerate((1.0, 0.74, 0.42, 0.14)):
        box = (x - radius * part, y - radius * 1.5, x + radius * part, y + radius * 1.6)
        stripe.ellipse(scaled(box), fill=colors[index % len(colors)])
    shade = Image.new("L", image.size, 255)
    ImageDraw.Draw(shade).ellipse(
        scaled((x - radius * 1.7, y - radius * 1.9, x + radius * 0.86, y + radius * 1.3)), fill=0
    )
    shade = ImageChops.multiply(
        shade.filter(ImageFilter.GaussianBlur(radius * 0.28 * FINER)), Image.new("L", image.size, 80)
    )
    stripes.paste(Image.new("RGB", image.size, (60, 20, 50)), mask=shade)
    image.paste(stripes, mask=body)
    for side in (-1, 1):
        rope = ((x + side * radius * 0.18, y + radius * 1.4), (x + side * radius * 0.13, y + radius * 1.72))
        pen.line(points(rope), fill=(70, 50, 50), width=FINER)
    pen.rectangle(
        scaled((x - radius * 0.17, y + radius * 1.7, x + radius * 0.17, y + radius * 1.98)), fill=(122, 78, 46)
    )


def with_reflection(above: Image.Image) -> Image.Image:
    """The lake: what is above, upside down, darker, and moved by ripples."""
    height = above.height
    line = WATERLINE * FINER
    depth = height - line
    pixels = np.asarray(above)
    down = np.arange(depth)
    from_row = np.clip(line - 1 - (down * 1.18).astype(int), 0, line - 1)
    reach = down / depth
    wave = (np.sin(down / FINER / (1.1 + reach * 3)) * (2 + reach * 16) * FINER).astype(int)
    mirrored = np.stack([np.roll(pixels[row], shift, axis=0) for row, shift in zip(from_row, wave)]).astype(float)
    tint = np.array([30, 52, 92], dtype=float)
    weight = (0.22 + 0.42 * reach)[:, None, None]
    water = mirrored * (1 - weight) + tint * weight
    image = Image.fromarray(np.concatenate([pixels[:line], water.round().astype(np.uint8)]))
    random = np.random.default_rng(8)
    pen = ImageDraw.Draw(image)
    for _ in range(90):
        y = WATERLINE + 6 + random.uniform(0, 1) ** 1.4 * 170
        spread = 12 + (y - WATERLINE) * 0.5
        x, half = SUN[0] + random.normal(0, spread), random.uniform(3, 18)
        pen.line(points([(x - half, y), (x + half, y)]), fill=(255, 228, 170), width=FINER)
    return image


def shore(image: Image.Image) -> None:
    """The near bank, with blades of grass and flowers."""
    pen = ImageDraw.Draw(image)
    xs = np.linspace(0, SIZE[0], 60)
    ys = 566 - 16 * np.cos(xs / SIZE[0] * 2 * np.pi) + 5 * np.sin(xs / 47)
    pen.polygon(points([*zip(xs, ys), (SIZE[0], SIZE[1]), (0, SIZE[1])]), fill=(34, 62, 58))
    random = np.random.default_rng(17)
    for _ in range(700):
        x, y = random.uniform(0, SIZE[0]), random.uniform(560, 640)
        tone = int(random.uniform(0, 34))
        tip = (x + random.uniform(-5, 5), y - random.uniform(8, 18))
        if y > np.interp(x, xs, ys):
            pen.line(points([(x, y), tip]), fill=(40 + tone, 76 + tone, 56 + tone // 2), width=FINER)
    for color in ((246, 206, 84), (232, 98, 110), (244, 240, 230)):
        for _ in range(16):
            x = random.uniform(0, SIZE[0])
            y = np.interp(x, xs, ys) + random.uniform(12, 44)
            disc(image, (x, y), radius=3.1, color=color)


def boat(image: Image.Image, *, x: float, y: float) -> None:
    """A sailing boat and its shadow on the water."""
    pen = ImageDraw.Draw(image)
    for step in range(7):
        half = 62 - step * 6
        pen.line(
            points([(x - half, y + 26 + step * 5), (x + half - 8, y + 26 + step * 5)]),
            fill=(70, 48, 82),
            width=2 * FINER,
        )
    pen.polygon(points([(x + 3, y - 112), (x + 3, y - 4), (x + 66, y - 4)]), fill=(252, 244, 226))
    pen.polygon(points([(x - 4, y - 96), (x - 4, y - 4), (x - 46, y - 4)]), fill=(236, 150, 70))
    pen.line(points([(x, y - 118), (x, y)]), fill=(88, 56, 40), width=3 * FINER)
    pen.polygon(points([(x - 74, y), (x + 78, y), (x + 54, y + 24), (x - 56, y + 24)]), fill=(178, 48, 54))
    pen.polygon(points([(x - 74, y), (x + 78, y), (x + 73, y + 6), (x - 71, y + 6)]), fill=(250, 236, 214))


def signpost(image: Image.Image, *, x: float, y: float) -> None:
    """A wooden sign with two lines of text."""
    pen = ImageDraw.Draw(image)
    pen.rectangle(scaled((x - 7, y - 8, x + 7, y + 160)), fill=(92, 60, 40))
    for top, text, size, color in ((y, "LAKE TENSOR", 22, (206, 150, 92)), (y + 48, "2 x 3 tiles", 22, (188, 130, 76))):
        pen.rounded_rectangle(scaled((x - 92, top + 3, x + 92, top + 43)), radius=5 * FINER, fill=(92, 60, 40))
        pen.rounded_rectangle(scaled((x - 92, top, x + 92, top + 40)), radius=5 * FINER, fill=color)
        font = ImageFont.load_default(size * FINER)
        pen.text((x * FINER, (top + 20) * FINER), text, font=font, fill=(66, 38, 26), anchor="mm", stroke_width=1)


def disc(image: Image.Image, center: Point, *, radius: float, color: Color) -> None:
    """A filled circle."""
    x, y = center
    ImageDraw.Draw(image).ellipse(scaled((x - radius, y - radius, x + radius, y + radius)), fill=color)


def scaled(numbers: tuple[float, ...]) -> tuple[int, ...]:
    """Numbers on the finer canvas."""
    return tuple(round(number * FINER) for number in numbers)


def points(outline: list[Point] | tuple[Point, ...]) -> list[tuple[int, ...]]:
    """Points on the finer canvas."""
    return [scaled((float(x), float(y))) for x, y in outline]


if __name__ == "__main__":
    paint().save(Path(sys.argv[1]), quality=80, optimize=True, subsampling=0)
