"""Boxes against boxes: overlap, and which of an answer's belongs to which of a reference's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vlkit.processing import GroundedObject
from vlkit.tiling import Box


def iou(first: Box, second: Box) -> float:
    """Area that two boxes share over the area that they cover together; from 0 to 1.

    It is the same in coordinates from 0 to 999 and in pixels, up to rounding, since stretching an axis stretches both
    areas. Edges have no width. A box without area shares only with itself: 1 if they are equal, else 0.
    """
    if first == second:
        return 1.0
    width = min(first.right, second.right) - max(first.left, second.left)
    height = min(first.lower, second.lower) - max(first.upper, second.upper)
    shared = max(width, 0) * max(height, 0)
    return shared / (_area(first) + _area(second) - shared) if shared else 0.0


def _area(box: Box) -> int:
    return (box.right - box.left) * (box.lower - box.upper)


@dataclass(frozen=True)
class BoxMatch:
    """What became of the boxes of one sample.

    Args:
        overlaps: IoU of every reference box with the answer's box that it got; 0 if it got none.
        answered: number of boxes in the answer.
    """

    overlaps: tuple[float, ...]
    answered: int

    @property
    def expected(self) -> int:
        """Number of boxes in the reference."""
        return len(self.overlaps)

    def hits(self, threshold: float) -> int:
        """Reference boxes whose overlap reaches the threshold."""
        return sum(overlap >= threshold for overlap in self.overlaps)


def match_boxes(
    answer: Sequence[GroundedObject],
    reference: Sequence[GroundedObject],
    *,
    same_name: bool = True,
    normalize: Callable[[str], str] = str.strip,
) -> BoxMatch:
    """Pairs of boxes, chosen greedily: always the pair with the largest overlap among those whose boxes are free.

    A box is in one pair at most, so saying a box twice helps nobody. Ties go to what comes first in the reference, then
    in the answer. Greedy pairs may overlap less in sum than the best assignment; boxes that overlap a lot are rare, and
    the rule can be followed by eye.

    Args:
        answer: what a model named.
        reference: what is right.
        same_name: whether only boxes of one name make a pair.
        normalize: makes names comparable.
    """
    answered = [(normalize(item.name), box) for item in answer for box in item.boxes]
    expected = [(normalize(item.name), box) for item in reference for box in item.boxes]
    pairs = [
        (overlap, right, given)
        for right, (name, box) in enumerate(expected)
        for given, (called, found) in enumerate(answered)
        if (called == name or not same_name) and (overlap := iou(found, box)) > 0
    ]
    overlaps, taken = [0.0] * len(expected), set[int]()
    free = set(range(len(expected)))
    for overlap, right, given in sorted(pairs, key=lambda pair: (-pair[0], *pair[1:])):
        if right in free and given not in taken:
            overlaps[right] = overlap
            free.remove(right)
            taken.add(given)
    return BoxMatch(tuple(overlaps), len(answered))
