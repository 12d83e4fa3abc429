"""Where labels go: beside their boxes, inside the picture, over as little as possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vlkit.notation import Size
from vlkit.tiling import Box

ON_LABEL, ON_OTHER, ON_OWN = 8, 2, 1
"""How bad it is to cover another label, what another box shows, and what the own box shows."""


def place_labels(boxes: Sequence[Box], labels: Sequence[Size], picture: Size) -> list[Box]:
    """A place for every label, one after the other, within the picture.

    Args:
        boxes: what is labelled, in pixels.
        labels: width and height of each box's label, not larger than the picture.
        picture: its width and height.

    Returns:
        The place of each label. It stands above its box if nothing is in the way there; else where it covers least.
    """
    placed: list[Box] = []
    for number, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        others = [*boxes[:number], *boxes[number + 1 :]]

        def harm(place: Box, own: Box = box, others: Sequence[Box] = others) -> int:
            return (
                ON_LABEL * sum(_shared(place, other) for other in placed)
                + ON_OTHER * sum(_shared(place, other) for other in others)
                + ON_OWN * _shared(place, own)
            )

        placed.append(min((_inside(place, picture) for place in _around(box, label)), key=harm))
    return placed


def _around(box: Box, label: Size) -> Iterator[Box]:
    """Places from the best to the worst: above, below, inside, beside."""
    left, upper, right, lower = box
    width, height = label
    for x, y in (
        (left, upper - height),
        (right - width, upper - height),
        (left, lower),
        (right - width, lower),
        (left, upper),
        (left, lower - height),
        (right - width, upper),
        (right - width, lower - height),
        (right, upper),
        (left - width, upper),
    ):
        yield Box(x, y, x + width, y + height)


def _inside(place: Box, picture: Size) -> Box:
    """The place, moved into the picture."""
    width, height = place.right - place.left, place.lower - place.upper
    left = min(max(place.left, 0), picture.width - width)
    upper = min(max(place.upper, 0), picture.height - height)
    return Box(left, upper, left + width, upper + height)


def _shared(first: Box, second: Box) -> int:
    width = min(first.right, second.right) - max(first.left, second.left)
    height = min(first.lower, second.lower) - max(first.upper, second.upper)
    return max(width, 0) * max(height, 0)
