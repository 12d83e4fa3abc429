"""A study of a few seconds: two layouts, two seeds, four steps."""

from pathlib import Path
from typing import Any

from tests.training.runs import recipe, samples
from vlkit.comparison import Comparison, compare

LAYOUTS = {"layout": ["2D", "1D"]}


def study(output: Path, vary: dict[str, list[Any]] | None = None, **given: Any) -> Comparison:
    """A small study with these arguments in place of the usual ones."""
    usual: dict[str, Any] = {"seeds": 2, "steps": 4, "source": samples(), "held_out": samples()}
    return compare(given.pop("recipe", recipe()), vary or LAYOUTS, output=output, **usual | given)
