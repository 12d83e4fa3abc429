"""Strategy for pictures as people have them: of odd sizes, in several modes."""

from __future__ import annotations

from hypothesis import strategies as st
from PIL import Image

MODES = ("RGB", "L", "RGBA", "P", "1", "LA")


@st.composite
def images(draw: st.DrawFn, *, largest: int = 64, modes: tuple[str, ...] = MODES, smallest: int = 1) -> Image.Image:
    """Pillow images of any width and height from `smallest` to `largest`, very thin ones among them.

    Args:
        draw: given by hypothesis.
        largest: longest side in pixels.
        modes: Pillow modes to choose from; the first is what hypothesis shrinks to.
        smallest: shortest side in pixels.
    """
    sides = st.one_of(st.integers(smallest, largest), st.sampled_from([smallest, largest]))
    width, height = draw(sides), draw(sides)
    ramp = Image.linear_gradient("L").resize((width, height))
    turned = ramp.rotate(90 * draw(st.integers(0, 3))).resize((width, height))
    colours = Image.merge("RGB", (ramp, turned, Image.new("L", (width, height), draw(st.integers(0, 255)))))
    return colours.convert(draw(st.sampled_from(modes)))
