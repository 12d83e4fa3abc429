"""The dimension legend of the library, and the two integer pairs that travel with tensors."""

from __future__ import annotations

from typing import NamedTuple

LEGEND: dict[str, str] = {
    "B": "samples",
    "T": "new positions",
    "S": "positions seen so far (past and new)",
    "M": "tokens, flattened over samples",
    "D": "decoder width",
    "H": "query heads",
    "G": "key/value heads",
    "K": "query and key head width",
    "V": "value head width",
    "R": "latent rank",
    "E": "experts",
    "A": "active experts per token",
    "F": "hidden width",
    "N": "tiles, flat over the batch",
    "Y": "feature rows in a tile",
    "X": "feature columns in a tile",
    "P": "features in a tile, Y * X",
    "W": "vision width",
    "L": "image tokens after the layout",
}
"""One letter, one meaning, everywhere: in names such as `x_BTD`, in docstrings and, lower-case, in einops patterns.

Lower-case `r c` are tile rows and columns. Pixels are always `float[N, 3, height, width]` and take no suffix.
"""


class Grid(NamedTuple):
    """Rows and columns: of features in a tile, or of tiles in a picture."""

    rows: int
    cols: int

    @property
    def area(self) -> int:
        """Number of cells."""
        return self.rows * self.cols

    def __str__(self) -> str:
        return f"{self.rows}x{self.cols}"


class Size(NamedTuple):
    """Width and height in pixels, in the order that Pillow and the official config files use."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"
