"""Samples as questions: the last answer taken off, the pictures in their places, groups."""

from collections.abc import Sequence

import pytest

from tests.evaluation.scripted import PROCESSOR, Scripted, sample
from vlkit.errors import ContextLengthError, InputError, VlkitError
from vlkit.evaluation import last_answer
from vlkit.evaluation.questions import Asker, Grouping, explained, resolve_grouping
from vlkit.tiling import Tiling
from vlkit.training.sample import Sample, SampleError


def asker(group_by: Grouping | None = None, *, max_new_tokens: int = 8) -> Asker:
    return Asker(Scripted({}), PROCESSOR, max_new_tokens, last_answer, resolve_grouping(group_by))


def test_the_question_is_what_stands_before_the_last_answer() -> None:
    first = sample("What is it?", "A boat.", (40, 30))
    longer = (
        *first.conversation,
        {"role": "user", "content": " And now? "},
        {"role": "assistant", "content": " A car. "},
    )
    question = asker().ask(Sample(longer, first.images, "set, line 3"), 5)
    text = PROCESSOR.decode(question.encoded.input_ids[~question.encoded.images_seq_mask].tolist())
    assert text.endswith(
        "What is it?\n\n<|Assistant|>:A boat.<｜end▁of▁sentence｜><|User|>: And now?\n\n<|Assistant|>:"
    )
    assert (question.index, question.origin, question.text) == (5, "set, line 3", "And now?")
    assert question.references == ("A car.",)
    assert longer[-1]["content"] == " A car. "


def test_it_is_asked_as_the_processor_asks() -> None:
    question = asker().ask(sample("Why?", "So.", (90, 40)), 0)
    turns = [{"role": "<|User|>", "content": "<image>\nWhy?"}, {"role": "<|Assistant|>", "content": ""}]
    expected = PROCESSOR.process_one(conversations=turns, images=list(sample("", "", (90, 40)).images))
    assert question.encoded.input_ids.tolist() == expected.input_ids.tolist()
    assert question.encoded.images.equal(expected.images)
    assert question.text == "Why?"


def test_groups() -> None:
    wide, two, none = (sample("Why?", "So.", *sizes) for sizes in ([(220, 56)], [(50, 50), (50, 50)], []))
    assert [asker("tiles").ask(each, 0).group for each in (wide, two, none)] == ["1x4", "1x1 + 1x1", "no picture"]
    assert [asker("pictures").ask(each, 0).group for each in (wide, two, none)] == [
        *("1 picture", "2 pictures", "0 pictures")
    ]
    assert asker().ask(wide, 0).group == "all"

    def by_origin(sample: Sample, tilings: Sequence[Tiling]) -> str:
        return f"{sample.origin}, {tilings[0].image_size}"

    assert asker(by_origin).ask(wide, 0).group == "made up, 220x56"
    with pytest.raises(InputError, match="did you mean 'tiles'"):
        resolve_grouping("tile")


@pytest.mark.parametrize(
    "conversation",
    [(), ({"role": "user", "content": "Why?"},), ({"role": "assistant", "content": 3},), ({"role": "robot"},)],
)
def test_without_an_answer_there_is_no_reference(conversation: tuple[dict[str, object], ...]) -> None:
    with pytest.raises(InputError, match="does not end with an answer"):
        asker().ask(Sample(conversation), 0)


def test_what_cannot_be_asked_is_refused() -> None:
    one = sample("Why?", "So.", (40, 30))
    with pytest.raises(InputError, match="0 images for 1 <image>"):
        asker().ask(Sample(one.conversation), 0)
    with pytest.raises(InputError, match="2 images for 1 <image>"):
        asker().ask(Sample(one.conversation, one.images * 2), 0)
    with pytest.raises(ContextLengthError, match="max_new_tokens 100000"):
        asker(max_new_tokens=100_000).ask(one, 0)
    with pytest.raises(InputError, match="contents are strings"):
        asker().ask(Sample(({"role": "user", "content": 3}, {"role": "assistant", "content": "So."})), 0)
    nothing = Asker(Scripted({}), PROCESSOR, 8, lambda sample: [], resolve_grouping(None))
    with pytest.raises(InputError, match="no reference"):
        nothing.ask(one, 0)


def test_errors_name_the_sample_once() -> None:
    assert explained(VlkitError("no boat", rule="a boat"), "line 3").problem == "line 3: no boat"
    assert explained(SampleError("line 3", "no boat"), "line 3").problem == "line 3: no boat"
