"""What to say when a checkpoint does not fit a model."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from vlkit.checkpoint.rules import Shape
from vlkit.errors import CheckpointError

SHOWN = 5


def refuse_mismatch(
    theirs: Mapping[str, Sequence[int]],
    expected: Mapping[str, tuple[Shape, str]],
    left_out: Collection[str],
) -> None:
    """Compare the tensors that there are with the expected ones.

    Args:
        theirs: shapes in the checkpoint by official name.
        expected: official shape and our name by official name.
        left_out: official names that are not loaded, on purpose.

    Raises:
        CheckpointError: listing unknown names with the nearest expected one, missing names and wrong shapes.
    """
    unknown = [name for name in theirs if name not in expected and name not in left_out]
    missing = [name for name in expected if name not in theirs]
    other = [name for name, (shape, _) in expected.items() if name in theirs and tuple(theirs[name]) != shape]
    if not (unknown or missing or other):
        return
    counts = f"{len(unknown)} unknown, {len(missing)} missing, {len(other)} of another shape"
    lines = [f"the checkpoint does not fit the model: {counts}"]
    for name in unknown[:SHOWN]:
        near = nearest(name, missing or expected)
        lines.append(f"- unknown {name!r}" + (f"; the nearest expected name is {near!r}" if near else ""))
    lines += [f"- missing {name!r} (here {expected[name][1]!r})" for name in missing[:SHOWN]]
    for name in other[:SHOWN]:
        shape, our_name = expected[name]
        lines.append(f"- {name!r} is {list(theirs[name])}, expected {list(shape)} (here {our_name!r})")
    hidden = sum(max(0, len(names) - SHOWN) for names in (unknown, missing, other))
    lines += [f"- and {hidden} more"] if hidden else []
    raise CheckpointError(
        "\n".join(lines),
        rule="the checkpoint's tensors fill every parameter of the model exactly once",
        remedy="take config and weights from the same checkpoint",
    )


def nearest(name: str, options: Iterable[str]) -> str | None:
    """Option with the most similar wording and, among those, with the most numbers in common.

    Examples:
        >>> nearest("layers.3.up_proj", ["layers.2.up.proj", "layers.3.up.proj", "layers.3.down.proj"])
        'layers.3.up.proj'
    """
    by_wording: dict[str, list[str]] = defaultdict(list)
    for option in options:
        by_wording[re.sub(r"\d+", "0", option)].append(option)
    wording = difflib.get_close_matches(re.sub(r"\d+", "0", name), by_wording, n=1, cutoff=0.0)
    numbers = re.findall(r"\d+", name)
    return max(
        by_wording[wording[0]] if wording else (),
        key=lambda option: sum(a == b for a, b in zip(re.findall(r"\d+", option), numbers)),
        default=None,
    )
