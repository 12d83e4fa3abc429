"""Places of labels: within the picture, next to their boxes, and apart where there is room."""

from hypothesis import given
from hypothesis import strategies as st

from vlkit.drawing.label_places import place_labels
from vlkit.notation import Size
from vlkit.tiling import Box

PICTURE = Size(300, 200)


def spans(limit: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, limit), min_size=2, max_size=2, unique=True).map(sorted)


boxes = st.builds(lambda across, down: Box(across[0], down[0], across[1], down[1]), spans(300), spans(200))
labels = st.builds(Size, st.integers(1, 300), st.integers(1, 200))


@given(st.lists(st.tuples(boxes, labels), max_size=6))
def test_labels_keep_their_size_and_stay_in_the_picture(pairs: list[tuple[Box, Size]]) -> None:
    places = place_labels([box for box, _ in pairs], [label for _, label in pairs], PICTURE)
    for (_, label), place in zip(pairs, places, strict=True):
        assert (place.right - place.left, place.lower - place.upper) == label
        assert 0 <= place.left <= place.right <= 300
        assert 0 <= place.upper <= place.lower <= 200


@given(boxes)
def test_a_label_touches_its_box(box: Box) -> None:
    (place,) = place_labels([box], [Size(40, 16)], PICTURE)
    assert place.left <= box.right and box.left <= place.right
    assert place.upper <= box.lower and box.upper <= place.lower


def test_a_label_stands_above_its_box_if_it_can() -> None:
    assert place_labels([Box(50, 50, 150, 90)], [Size(40, 16)], PICTURE) == [Box(50, 34, 90, 50)]
    assert place_labels([Box(50, 5, 150, 90)], [Size(40, 16)], PICTURE) == [Box(50, 90, 90, 106)]
    assert place_labels([Box(0, 0, 300, 200)], [Size(40, 16)], PICTURE) == [Box(0, 0, 40, 16)]
    assert place_labels([Box(290, 50, 300, 90)], [Size(40, 16)], PICTURE) == [Box(260, 34, 300, 50)]


@given(st.integers(2, 5))
def test_labels_of_one_box_do_not_cover_each_other(count: int) -> None:
    places = place_labels([Box(100, 80, 220, 150)] * count, [Size(40, 16)] * count, PICTURE)
    for number, first in enumerate(places):
        for second in places[:number]:
            across = min(first.right, second.right) - max(first.left, second.left)
            down = min(first.lower, second.lower) - max(first.upper, second.upper)
            assert across <= 0 or down <= 0
