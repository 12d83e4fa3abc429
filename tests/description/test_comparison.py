"""Models side by side: the table holds what each description says."""

import pytest

import vlkit
from vlkit.description import compare
from vlkit.errors import InputError


def test_every_value_of_every_description_is_in_the_table() -> None:
    names = ("mini", "deepseek-vl2-small")
    about = {name: vlkit.describe(name, image_sizes=[(1024, 768)], prompt_tokens=7) for name in names}
    comparison = compare(about)
    measures = {measure.name: measure for measure in comparison.measures}
    assert comparison.names == names
    assert measures["parameters"].values == tuple(each.parameters.total for each in about.values())
    assert measures["parameters"].texts[1] == "16,148,349,504"
    assert measures["image tokens"].values == tuple(each.context.image_tokens for each in about.values())
    assert measures["peak memory, estimate"].values == tuple(each.memory.peak for each in about.values())
    lines = str(comparison).splitlines()
    assert all(len(line) <= 80 for line in lines)
    for measure in comparison.measures:
        (line,) = [line for line in lines if line.startswith(measure.name + "  ")]
        assert line.split(maxsplit=len(measure.name.split()))[-1].split() == " ".join(measure.texts).split()


def test_what_is_unknown_stays_unknown() -> None:
    builder = vlkit.DeepseekVLV2Builder("mini")
    plain = builder.projector({"type": "supplied"}).config
    measures = {m.name: m for m in compare({"plain": vlkit.describe(plain)}).measures}
    assert (measures["parameters"].values, measures["parameters"].texts) == ((None,), ("unknown",))


def test_nothing_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="at least one"):
        compare({})
