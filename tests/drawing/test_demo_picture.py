"""The bundled demo picture is what the script paints, and small."""

import runpy
from pathlib import Path

from PIL import Image, ImageChops

import vlkit

ROOT = Path(__file__).parents[2]
ASSET = Path(vlkit.__file__).parent / "assets" / "demo.jpg"


def test_script_paints_the_bundled_picture() -> None:
    painted = runpy.run_path(str(ROOT / "tools" / "make_demo_picture.py"))["paint"]()
    with Image.open(ASSET) as bundled:
        assert (bundled.format, bundled.mode, bundled.size) == ("JPEG", "RGB", painted.size)
        difference = ImageChops.difference(bundled, painted)
    histogram = difference.convert("L").histogram()
    total = painted.width * painted.height
    assert sum(level * count for level, count in enumerate(histogram)) / total < 2.5
    assert sum(histogram[64:]) / total < 0.005


def test_bundled_picture_is_small() -> None:
    assert ASSET.stat().st_size <= 80_000
