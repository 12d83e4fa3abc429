"""Print the picture that `vlkit demo` reads: words that no reader is trained on, in a font that it is trained on.

python tools/make_demo_text.py src/vlkit/assets/demo-text.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from vlkit.notation import Size
from vlkit.printed_text.page import Page, render

FINER = 4
"""How many times larger it is than what the model sees of it."""

PAGE = Page(
    size=Size(112 * FINER, 96 * FINER),
    lines=(("GALAXY",), ("M63",)),
    face="roboto/bold",
    font_size=21 * FINER,
    start=(14 * FINER, 20 * FINER),
    leading=32 * FINER,
    angle=0.0,
    ink=(255, 209, 102),
    paper=(27, 38, 96),
    noise=0.0,
    noise_at=(0, 0),
)
"""What is printed, and how."""

if __name__ == "__main__":
    render(PAGE).image.save(Path(sys.argv[1]), optimize=True)
