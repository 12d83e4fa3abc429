"""Makes every picture of the documentation anew, in `docs/assets`. Run as `python tools/make_docs_pictures.py`."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import runpy
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

import vlkit
from vlkit.cli import app
from vlkit.drawing import draw_layout
from vlkit.layouts import Layout1DConfig
from vlkit.training.metrics import MetricsFile

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "docs" / "assets"
DEMO = ROOT / "src" / "vlkit" / "assets" / "demo.jpg"

BOX_WIDTH, BOX_HEIGHT = 118, 44
HALF, MIDDLE, LABEL = BOX_WIDTH // 2, BOX_HEIGHT // 2, 18
"""Half a box in both directions, and the room for what is written below it."""
STEPS = {
    "picture": "any size",
    "tiling": "pixels[N, 3, h, w]",
    "encoder": "x[N, Y, X, W]",
    "projector": "x[N, Y', X', D]",
    "layout": "x[L, D]",
    "text": "any language",
    "tokenizer": "input_ids[B, T]",
    "embeddings": "x[B, T, D]",
    "decoder": "x[B, T, D]",
    "logits": "[B, T, vocabulary]",
    "cache policy": "where the cache lives",
}
"""What leaves each step."""
SWAPPED = {"encoder", "projector", "layout", "decoder", "cache policy"}
"""Steps that are parts."""


def token_path() -> str:
    """Drawing of the path of a token, coloured by the page that it is part of."""
    columns, rows = [70, 225, 380, 535, 690], [30, 158, 278]
    lines = []
    for row, names in zip(rows, (list(STEPS)[:5], list(STEPS)[5:10])):
        for left, right in itertools.pairwise(columns):
            lines.append(_line("token-tip", f"M{left + HALF},{row} H{right - HALF - 2}"))
        lines += [_box(name, column, row) for name, column in zip(names, columns)]
    turn = (rows[0] + rows[1]) // 2 + 14
    down = f"M{columns[4]},{rows[0] + MIDDLE + LABEL} V{turn} H{columns[2]} V{rows[1] - MIDDLE - 2}"
    lines.append(_line("token-tip", down))
    lines.append(_text(columns[3], turn - 7, "into their places in the text", "note"))
    lines.append(_line("token-tip", f"M{columns[3]},{rows[1] + MIDDLE + LABEL} V{rows[2] - MIDDLE - 2}", both=True))
    lines.append(_text(columns[3] + 52, rows[2] - MIDDLE - 18, "KV cache", "note"))
    lines.append(_box("cache policy", columns[3], rows[2], label="note left"))
    return _svg("token-path", "token-tip", (760, 316), lines)


def narrow_token_path() -> str:
    """The same from top to bottom, for phones."""
    left, right = 72, 252
    rows = [30 + 90 * row for row in range(7)]
    pictures = list(zip(list(STEPS)[:5], rows))
    texts = list(zip([*list(STEPS)[5:9], "logits"], rows[2:]))
    lines = []
    for column, names in ((right, pictures), (left, texts)):
        lines += [_box(name, column, row) for name, row in names]
        for _, row in names[:-1]:
            lines.append(_line("narrow-tip", f"M{column},{row + MIDDLE + LABEL} V{row + 90 - MIDDLE - 2}"))
    across = f"M{right - HALF},{rows[4]} H{left + HALF + 2}"
    lines.append(_line("narrow-tip", across))
    lines.append(_text((left + right) // 2, rows[4] - 8, "in places", "note"))
    lines.append(_box("cache policy", right, rows[5], label="note"))
    between = f"M{left + HALF + 2},{rows[5]} H{right - HALF - 2}"
    lines.append(_line("narrow-tip", between, both=True))
    lines.append(_text((left + right) // 2, rows[5] - 8, "KV cache", "note"))
    return _svg("token-path narrow", "narrow-tip", (324, rows[-1] + 44), lines)


def _svg(kind: str, tip: str, size: tuple[int, int], lines: list[str]) -> str:
    head = (
        f'<svg class="{kind}" viewBox="0 0 {size[0]} {size[1]}" role="img" '
        'aria-label="From picture and text to logits" xmlns="http://www.w3.org/2000/svg">'
    )
    marker = (
        f'<defs><marker id="{tip}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0,0 L8,4 L0,8 z" fill="currentColor"/></marker></defs>'
    )
    return "\n".join([head, marker, *lines, "</svg>\n"])


def _box(name: str, x: int, y: int, *, label: str = "shape") -> str:
    kind = "part" if name in SWAPPED else "step"
    place = (x + HALF + 10, y + 5) if label.endswith("left") else (x, y + MIDDLE + 14)
    return "\n".join(
        [
            f'<rect class="{kind}" x="{x - HALF}" y="{y - MIDDLE}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"/>',
            _text(x, y + 5, name, kind),
            _text(*place, STEPS[name], label),
        ]
    )


def _line(tip: str, path: str, *, both: bool = False) -> str:
    start = f' marker-start="url(#{tip})"' if both else ""
    return f'<path class="flow" d="{path}"{start} marker-end="url(#{tip})"/>'


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


def page_picture(page: str, name: str, *, shrink: int = 1) -> Image.Image:
    """Picture that the code of a page of the documentation writes, so many times smaller."""
    code = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        shutil.copy(DEMO, "photo.jpg")
        exec("\n".join(code), {"__name__": "__main__"})
        with Image.open(name) as opened:
            size = (opened.width // shrink, opened.height // shrink)
            return opened.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def reader_curve() -> Image.Image:
    """How the reader that comes with vlkit was trained, from its log, at half its size."""
    folder = ROOT / "examples" / "reader"
    draw = runpy.run_path(str(folder / "reader_curve.py"))["training_curve"]
    whole = draw(MetricsFile(folder / "metrics.jsonl").rows())
    return whole.resize((whole.width // 2, whole.height // 2), Image.Resampling.LANCZOS)


def main() -> None:
    """Write all pictures."""
    (ASSETS / "token-path.svg").write_text(token_path(), encoding="utf-8")
    (ASSETS / "token-path-narrow.svg").write_text(narrow_token_path(), encoding="utf-8")
    mini = vlkit.presets["mini"].replace(candidate_resolutions=((56, 56), (168, 112)))
    pictures = {
        "demo": demo_picture(),
        "layout-2d": layout_picture(mini, "The 2D layout"),
        "layout-1d": layout_picture(mini.replace(layout=Layout1DConfig()), "The 1D layout"),
        "comparison": comparison_picture(),
        "grounding": page_picture("guides/grounding.md", "boxes.png"),
        "failures": page_picture("guides/evaluate.md", "failures.png", shrink=2),
        "reader-curve": reader_curve(),
    }
    for name, picture in pictures.items():
        picture.quantize(128).save(ASSETS / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
