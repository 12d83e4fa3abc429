"""What counts as the same text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlkit.evaluation import TextNormalization

settings = st.builds(
    TextNormalization,
    unicode_form=st.sampled_from(["NFC", "NFKC", None]),
    collapse_spaces=st.booleans(),
    ignore_case=st.booleans(),
    ignore_punctuation=st.booleans(),
)


@given(settings, st.text("aÅéﬁ \t!ß.", max_size=12))
def test_a_second_time_changes_nothing(same: TextNormalization, text: str) -> None:
    assert same(same(text)) == same(text)


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        ({}, "  two \n words. ", "two words."),
        ({}, "e\u0301", "\u00e9"),
        ({}, "ＡＢ", "ＡＢ"),
        ({"unicode_form": "NFKC"}, "ＡＢ", "AB"),
        ({"unicode_form": None}, "e\u0301", "e\u0301"),
        ({"collapse_spaces": False}, " a  b ", " a  b "),
        ({"ignore_case": True}, "Straße", "strasse"),
        ({"ignore_punctuation": True}, "It's 5, isn't it?", "Its 5 isnt it"),
    ],
)
def test_each_option_does_what_it_says(options: dict[str, object], text: str, expected: str) -> None:
    assert TextNormalization.model_validate(options)(text) == expected


def test_it_says_what_it_does() -> None:
    assert str(TextNormalization()) == "Unicode NFC, white space collapsed"
    everything = TextNormalization(unicode_form="NFKC", ignore_case=True, ignore_punctuation=True)
    assert str(everything) == "Unicode NFKC, case ignored, punctuation ignored, white space collapsed"
    assert str(TextNormalization(unicode_form=None, collapse_spaces=False)) == "as it is"
