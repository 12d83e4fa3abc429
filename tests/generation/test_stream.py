"""Law of streaming: the pieces joined are the text of all ids, cut at the first stop string."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from vlkit.errors import InputError
from vlkit.generation import TextStream

SKIPPED = 256


def bytewise(ids: list[int]) -> str:
    """Byte-level decoder: one id per byte, and one id that stands for no text."""
    return bytes(token for token in ids if token != SKIPPED).decode(errors="replace")


TOKENS = [
    b"a",
    b" b",
    "你".encode(),
    b"\xa0\xe4\xbd",
    b"\xe4\xbd",
    b"\xa0",
    b"\xf0\x9f",
    b"\x8e\x89",
    b"\xff",
    b"\xef\xbf\xbd",
]


def crosswise(ids: list[int]) -> str:
    """Byte-level decoder whose tokens begin and end inside characters."""
    return b"".join(TOKENS[token] for token in ids).decode(errors="replace")


WORDS = ["▁the", "▁a", "cat", "▁", "s", ".", "好"]


def wordwise(ids: list[int]) -> str:
    """Decoder in the manner of SentencePiece: the first space is dropped."""
    text = "".join(WORDS[token] for token in ids).replace("▁", " ")
    return text.removeprefix(" ")


texts = st.text(st.sampled_from("ab \n你好世界こんに🎉👩‍🚀é\ufffd") | st.characters(codec="utf-8"), max_size=60)
stops = st.lists(st.text(st.sampled_from("ab 你🎉"), min_size=1, max_size=4), max_size=3)


def cut(text: str, stop: Sequence[str]) -> str:
    return text[: min((text.find(s) for s in stop if s in text), default=len(text))]


def pieces(stream: TextStream, ids: list[int], sizes: list[int]) -> list[str]:
    """What comes out if the ids are pushed in portions of the given sizes, the rest one by one."""
    out, at = [], 0
    while at < len(ids):
        size = sizes.pop() if sizes else 1
        out.append(stream.push(ids[at : at + size]))
        at += size
    return [*out, stream.flush()]


def check(decode: Callable[[list[int]], str], ids: list[int], stop: list[str], sizes: list[int]) -> None:
    stream, text = TextStream(decode, stop), decode(ids)
    assert "".join(pieces(stream, ids, list(sizes))) == cut(text, stop)
    assert stream.finished == any(s in text for s in stop)


sizes = st.lists(st.integers(0, 50), max_size=4)


@given(texts, stops, sizes)
def test_pieces_join_to_the_text_with_the_real_tokenizer(
    golden: Path, text: str, stop: list[str], sizes: list[int]
) -> None:
    tokenizer = _tokenizer(golden)
    check(tokenizer.decode, tokenizer.encode(text, add_special_tokens=False).ids, stop, sizes)


@given(st.lists(st.integers(0, 599), max_size=120), sizes)
def test_pieces_join_to_the_text_of_any_ids_of_the_real_tokenizer(
    golden: Path, ids: list[int], sizes: list[int]
) -> None:
    check(_tokenizer(golden).decode, ids, [], sizes)


@given(st.lists(st.integers(0, 255) | st.sampled_from([*"é你🎉".encode(), SKIPPED]), max_size=150), stops, sizes)
def test_pieces_join_to_the_text_of_any_bytes(ids: list[int], stop: list[str], sizes: list[int]) -> None:
    check(bytewise, ids, stop, sizes)


@given(st.lists(st.integers(0, len(TOKENS) - 1), max_size=150), stops, sizes)
def test_pieces_join_to_the_text_of_tokens_that_cut_characters(
    ids: list[int], stop: list[str], sizes: list[int]
) -> None:
    check(crosswise, ids, stop, sizes)


@given(st.lists(st.integers(0, len(WORDS) - 1), max_size=150), stops, sizes)
def test_pieces_join_to_the_text_if_the_decoder_drops_the_first_space(
    ids: list[int], stop: list[str], sizes: list[int]
) -> None:
    check(wordwise, ids, stop, sizes)


def test_a_character_comes_out_whole_and_at_once() -> None:
    stream = TextStream(bytewise)
    assert [stream.push([byte]) for byte in "a你🎉b".encode()] == ["a", "", "", "你", "", "", "", "🎉", "b"]


def test_the_beginning_of_a_stop_string_is_held_back_until_it_is_known() -> None:
    stream = TextStream(bytewise, ["STOP"])
    assert [stream.push([byte]) for byte in b"aSTaSTOPb"] == ["a", "", "", "STa", "", "", "", "", ""]
    assert stream.finished
    assert stream.flush() == ""


def test_a_stop_string_that_begins_earlier_wins_though_it_ends_later() -> None:
    stream = TextStream(bytewise, ["b", "abc"])
    assert [stream.push([byte]) for byte in b"xabc"] == ["x", "", "", ""]
    assert stream.finished
    other = TextStream(bytewise, ["b", "abc"])
    assert [other.push([byte]) for byte in b"xabd"] == ["x", "", "", "a"]
    assert other.finished


def test_flush_gives_what_was_held_back() -> None:
    stream = TextStream(bytewise, "STOP")
    assert stream.push([*b"ST", 0xE4]) == ""
    assert stream.flush() == "ST\ufffd"
    assert not stream.finished
    assert stream.flush() == ""


def test_flush_finds_a_stop_string_among_what_was_held_back() -> None:
    stream = TextStream(bytewise, ["abc", "b"])
    assert stream.push([*b"ab"]) == ""
    assert stream.flush() == "a"
    assert stream.finished


def test_nothing_may_be_pushed_after_flush() -> None:
    stream = TextStream(bytewise)
    stream.flush()
    with pytest.raises(InputError, match="after flush"):
        stream.push([65])


@pytest.mark.parametrize("stop", ["", ["a", ""]])
def test_an_empty_stop_string_is_refused(stop: str | list[str]) -> None:
    with pytest.raises(InputError, match="empty string"):
        TextStream(bytewise, stop)


@pytest.mark.parametrize(
    ("decode", "pattern"),
    [
        (bytewise, [*"你好 hello 🎉".encode()]),
        (bytewise, [0xFF]),
        (bytewise, [0xE4]),
        (bytewise, [65] + [SKIPPED] * 999),
        (bytewise, [0xE4, 0xBD] + [SKIPPED] * 998),
        (bytewise, [SKIPPED]),
        (crosswise, [3]),
        (wordwise, [0, 2]),
        (wordwise, [3]),
    ],
)
def test_the_decoder_sees_each_id_a_bounded_number_of_times(
    decode: Callable[[list[int]], str], pattern: list[int]
) -> None:
    seen = 0

    def counting(ids: list[int]) -> str:
        nonlocal seen
        seen += len(ids)
        return decode(ids)

    ids = (pattern * 2000)[:2000]
    assert "".join(pieces(TextStream(counting), ids, [])) == decode(ids)
    assert seen <= 50 * len(ids)


def _tokenizer(golden: Path) -> Tokenizer:
    return Tokenizer.from_file(str(golden / "a8_processor/processor/tokenizer.json"))
