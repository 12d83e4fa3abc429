"""The reader's tokenizer: phrases are one token, and every text survives."""

from hypothesis import given
from hypothesis import strategies as st

from vlkit.printed_text.questions import READ, WHERE
from vlkit.printed_text.tokenizer import PHRASES, reader_tokenizer
from vlkit.processing.tokenizer import Tokenizer

TOKENIZER = reader_tokenizer()


def test_questions_and_boxes_are_short() -> None:
    assert len(TOKENIZER.encode(READ)) == len(TOKENIZER.encode(WHERE)) == 1
    assert len(TOKENIZER.encode("[[1, 22, 333, 444]]")) == 1 + 1 + 1 + 2 + 1 + 3 + 1 + 3 + 1


@given(st.text(max_size=30))
def test_any_text_can_be_written(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_phrases_are_no_special_tokens_and_follow_those_of_bytes() -> None:
    plain = Tokenizer.of_bytes()
    assert len(TOKENIZER) == len(plain) + len(PHRASES)
    ids = TOKENIZER.encode(READ + "A\n\n")
    assert TOKENIZER.decode(ids, skip_special_tokens=True) == READ + "A\n\n"
    assert plain.encode("A<image>") == TOKENIZER.encode("A<image>")
