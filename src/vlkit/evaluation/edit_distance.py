"""How many characters of a text have to be inserted, deleted or replaced to make it another."""

from __future__ import annotations


def levenshtein(first: str, second: str) -> int:
    """Edit distance of two texts, counted in Unicode code points.

    All of a column of the usual table is computed at once, as the bits of one integer (Myers 1999; Hyyrö 2003): the
    table's neighbours differ by -1, 0 or 1, and `above` and `below` hold where they do.

    Examples:
        >>> levenshtein("kitten", "sitting")
        3
    """
    if len(first) > len(second):
        first, second = second, first
    if not first:
        return len(second)
    places: dict[str, int] = {}
    for place, char in enumerate(first):
        places[char] = places.get(char, 0) | 1 << place
    every, last = (1 << len(first)) - 1, 1 << len(first) - 1
    distance, above, below = len(first), every, 0
    for char in second:
        same = places.get(char, 0)
        diagonal = (((same & above) + above) ^ above) | same | below
        up, down = below | ~(diagonal | above), above & diagonal
        distance += bool(up & last) - bool(down & last)
        up, down = up << 1 | 1, down << 1
        above, below = (down | ~(diagonal | up)) & every, up & diagonal & every
    return distance
