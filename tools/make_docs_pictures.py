"""Makes every picture of the documentation anew, in `docs/assets`. Run as `python tools/make_docs_pictures.py`."""

from __future__ import annotations

import contextlib
import io
import runpy
import tempfile
from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

import vlkit
from vlkit.cli import app
from vlkit.drawing import draw_layout
from vlkit.layouts import Layout1DConfig

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "docs" / "assets"
DEMO = ROOT / "src" / "vlkit" / "assets" / "demo.jpg"

WIDTH, HEIGHT, BOX_WIDTH, BOX_HEIGHT = 760, 316, 118, 44
COLUMNS, ROWS = [70, 225, 380, 535, 690], [30, 158, 278]
BOXES = [
    ("picture", "any size", 0, 0, False),
    ("tiling", "pixels[N, 3, h, w]", 1, 0, False),
    ("encoder", "x[N, Y, X, W]", 2, 0, True),
    ("projector", "x[N, Y', X', D]", 3, 0, True),
    ("layout", "x[L, D]", 4, 0, True),
    ("text", "any language", 0, 1, False),
    ("tokenizer", "input_ids[B, T]", 1, 1, False),
    ("embeddings", "x[B, T, D]", 2, 1, False),
    ("decoder", "x[B, T, D]", 3, 1, True),
    ("logits", "[B, T, vocabulary]", 4, 1, False),
    ("cache policy", "where the cache lives", 3, 2, True),
]
"""Name, what leaves it, column, row, and whether it can be swapped."""
ARROWS = [(row, column) for row, columns in enumerate([range(4), range(4)]) for column in columns]
"""Row and left column of the arrows from left to right."""


def token_path() -> str:
    """Drawing of the path of a token, coloured by the page that it is part of."""
    parts = [
        f'<svg class="token-path" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="From picture and text to logits" xmlns="http://www.w3.org/2000/svg">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0,0 L8,4 L0,8 z" fill="currentColor"/></marker></defs>',
    ]
    half, middle = BOX_WIDTH // 2, BOX_HEIGHT // 2
    for row, left in ARROWS:
        y = ROWS[row]
        parts.append(_line(f"M{COLUMNS[left] + half},{y} H{COLUMNS[left + 1] - half - 2}"))
    scatter = ROWS[1] - middle - 2
    between = (ROWS[0] + ROWS[1]) // 2 + 14
    parts.append(_line(f"M{COLUMNS[4]},{ROWS[0] + middle + 18} V{between} H{COLUMNS[2]} V{scatter}"))
    parts.append(_text(COLUMNS[3], between - 7, "into their places in the text", "note"))
    parts.append(_line(f"M{COLUMNS[3]},{ROWS[1] + middle + 18} V{ROWS[2] - middle - 2}", both=True))
    parts.append(_text(COLUMNS[3] + 52, ROWS[2] - middle - 18, "KV cache", "note"))
    for name, output, column, row, swappable in BOXES:
        x, y = COLUMNS[column], ROWS[row]
        shape = "part" if swappable else "step"
        parts.append(
            f'<rect class="{shape}" x="{x - half}" y="{y - middle}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"/>'
        )
        parts.append(_text(x, y + 5, name, shape))
        if row < 2:
            parts.append(_text(x, y + middle + 14, output, "shape"))
        else:
            parts.append(_text(x + half + 10, y + 5, output, "note left"))
    return "\n".join([*parts, "</svg>\n"])


def _line(path: str, *, both: bool = False) -> str:
    start = ' marker-start="url(#tip)"' if both else ""
    return f'<path class="flow" d="{path}"{start} marker-end="url(#tip)"/>'


def _text(x: int, y: int, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{text}</text>'


def demo_picture() -> Image.Image:
    """What `vlkit demo` draws, at half its size."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "demo.png"
        CliRunner().invoke(app, ["demo", "--output", str(file)], catch_exceptions=False)
        with Image.open(file) as opened:
            return opened.resize((opened.width // 2, opened.height // 2), Image.Resampling.LANCZOS)


def layout_picture(config: vlkit.VLMConfig, title: str) -> Image.Image:
    """The bundled picture on its way from pixels to tokens."""
    with Image.open(DEMO) as opened:
        picture = opened.convert("RGB")
    return draw_layout(picture, config.tiling(picture.size), config.layout, config.grid, title=title, scale=1)


def comparison_picture() -> Image.Image:
    """What `examples/10_compare_assemblies.py` draws, at half its size."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        runpy.run_path(str(ROOT / "examples" / "10_compare_assemblies.py"))
        with Image.open("comparison.png") as opened:
            return opened.resize((opened.width // 2, opened.height // 2), Image.Resampling.LANCZOS)


def main() -> None:
    """Write all pictures."""
    (ASSETS / "token-path.svg").write_text(token_path(), encoding="utf-8")
    mini = vlkit.presets["mini"].replace(candidate_resolutions=((56, 56), (168, 112)))
    pictures = {
        "demo": demo_picture(),
        "layout-2d": layout_picture(mini, "The 2D layout"),
        "layout-1d": layout_picture(mini.replace(layout=Layout1DConfig()), "The 1D layout"),
        "comparison": comparison_picture(),
    }
    for name, picture in pictures.items():
        picture.quantize(128).save(ASSETS / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
