"""The tokenizer without a vocabulary file: one id per byte, and nothing lost."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from vlkit.processing import VL2_TOKENS, Tokenizer

BYTES = Tokenizer.of_bytes()


@given(st.text())
def test_ids_are_the_bytes_and_give_the_text_back(text: str) -> None:
    assert BYTES.encode(text) == [3 + byte for byte in text.encode()]
    assert BYTES.decode(BYTES.encode(text)) == text


def test_special_tokens_have_ids_of_their_own() -> None:
    assert (BYTES.bos_id, BYTES.eos_id, BYTES.pad_id) == (0, 1, 2)
    assert [BYTES.id_of(token) for token in VL2_TOKENS] == list(range(259, 267))
    assert BYTES.encode("a<image>b") == [3 + ord("a"), 259, 3 + ord("b")]
    assert BYTES.last_id == len(BYTES) - 1 == 266


def test_other_special_tokens_can_be_named() -> None:
    tokenizer = Tokenizer.of_bytes(tokens=["<image>"])
    assert tokenizer.last_id == tokenizer.id_of("<image>") == 259


def test_saved_and_loaded_it_has_the_same_special_tokens(tmp_path: Path) -> None:
    BYTES.save(tmp_path)
    loaded = Tokenizer.from_folder(tmp_path)
    assert (loaded.names, loaded.last_id) == (BYTES.names, BYTES.last_id)
    for text in ("Zürich \N{SLIGHTLY SMILING FACE}\n\t", "<image><|User|>: a  b", ""):
        assert loaded.encode(text) == BYTES.encode(text)
