"""The picture of what went wrong: the worst first, with the pictures of the source."""

import pytest

from tests.evaluation.scripted import PROCESSOR, Listed, Scripted
from tests.evaluation.test_running import ANSWERS, BOX, SAMPLES
from vlkit.errors import InputError
from vlkit.evaluation import draw_worst, evaluate
from vlkit.evaluation.report import readable
from vlkit.processing import GroundedObject, render
from vlkit.tiling import Box

SOURCE = Listed(SAMPLES)


def test_a_sheet_of_the_worst() -> None:
    evaluation = evaluate(Scripted(ANSWERS), PROCESSOR, SOURCE)
    whole, first = draw_worst(evaluation, SOURCE), draw_worst(evaluation, SOURCE, most=1)
    by_box = draw_worst(evaluation, SOURCE, metric="box_iou")
    assert whole.width == first.width == 1920
    assert whole.height > 2 * first.height > 0
    assert first.height < by_box.height < whole.height
    with pytest.raises(InputError, match="was not measured"):
        draw_worst(evaluation, SOURCE, metric="bleu")


def test_nothing_wrong_is_a_title_alone() -> None:
    perfect = evaluate(Scripted(ANSWERS), PROCESSOR, Listed(SAMPLES[:1]))
    assert draw_worst(perfect, SOURCE).height < 300


def test_grounded_text_is_shown_without_its_tags() -> None:
    items = [GroundedObject("cat", (Box(0, 0, 9, 9), Box(1, 2, 3, 4))), GroundedObject("dog", (Box(5, 5, 9, 9),))]
    assert readable(render(items[:1])) == "cat [[0, 0, 9, 9], [1, 2, 3, 4]]"
    assert readable("plain") == "plain"
    assert readable(BOX.format(9) + "<|ref|>") == BOX.format(9) + "<|ref|>"
