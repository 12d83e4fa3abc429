"""The tokenizer: the official table, the added tokens, and damaged folders."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlkit.errors import CheckpointError, InputError
from vlkit.processing import tokenizer as tokenizer_module
from vlkit.processing.tokenizer import VL2_TOKENS, Tokenizer


@pytest.fixture(scope="session")
def source(golden: Path) -> Path:
    return golden / "a8_processor"


@pytest.fixture(scope="session")
def tokenizer(source: Path) -> Tokenizer:
    return Tokenizer.from_folder(source / "processor")


@pytest.fixture
def copied(source: Path, tmp_path: Path) -> Path:
    for file in (source / "processor").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_table_of_the_official_tokenizer(tokenizer: Tokenizer, source: Path) -> None:
    table = json.loads((source / "tokenizer_table.json").read_text())
    assert len(table) == 25
    for row in table:
        assert tokenizer.encode(row["text"]) == row["ids"]
        assert [tokenizer.bos_id, *row["ids"]] == row["ids_default"]
        assert tokenizer.decode(row["ids"]) == row["decoded"]
        assert tokenizer.decode(torch.tensor(row["ids"]), skip_special_tokens=True) == row["decoded_skip_special"]


def test_missing_tokens_are_appended_in_the_official_order(tokenizer: Tokenizer, source: Path) -> None:
    right = json.loads((source / "meta.json").read_text())["tokens"]
    assert {name: tokenizer.id_of(name) for name in right["ids"]} == right["ids"]
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (right["bos_id"], right["eos_id"], right["pad_id"])
    assert len(tokenizer) == right["len_tokenizer"]
    assert all(tokenizer.token_of(tokenizer.id_of(name)) == name for name in right["ids"])
    assert tokenizer.token_of(10**6) is None
    assert tokenizer.token_of(-1) is None
    with pytest.raises(CheckpointError, match="<nothing>"):
        tokenizer.id_of("<nothing>")


def test_existing_tokens_keep_their_ids(copied: Path) -> None:
    data = json.loads((copied / "tokenizer.json").read_text())
    data["added_tokens"].append({**data["added_tokens"][0], "id": 600, "content": "<|User|>", "normalized": False})
    (copied / "tokenizer.json").write_text(json.dumps(data))
    tokenizer = Tokenizer.from_folder(copied)
    assert tokenizer.id_of("<|User|>") == 600
    assert [tokenizer.id_of(name) for name in VL2_TOKENS if name != "<|User|>"] == list(range(601, 608))


def test_missing_padding_token_is_added_first(copied: Path) -> None:
    edit(copied / "tokenizer_config.json", pad_token=None)
    (copied / "special_tokens_map.json").unlink()
    assert Tokenizer.from_folder(copied).pad_id == 2
    tokenizer = Tokenizer.from_folder(copied, pad_token="<pad>")
    assert (tokenizer.pad_id, tokenizer.id_of("<image>")) == (600, 601)


def test_tokens_are_named_by_strings_mappings_or_the_official_names(copied: Path) -> None:
    edit(copied / "tokenizer_config.json", bos_token={"content": "<｜end▁of▁sentence｜>", "special": True})
    assert Tokenizer.from_folder(copied).bos_id == 1
    (copied / "tokenizer_config.json").unlink()
    (copied / "special_tokens_map.json").unlink()
    tokenizer = Tokenizer.from_folder(copied)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (0, 1, 2)


def test_declared_tokens_get_the_declared_ids_or_are_refused(copied: Path) -> None:
    declared = {"601": {"content": "<b>", "special": False}, "600": {"content": "<a>", "special": True}}
    edit(copied / "tokenizer_config.json", added_tokens_decoder=declared)
    tokenizer = Tokenizer.from_folder(copied)
    assert [tokenizer.id_of(name) for name in ("<a>", "<b>", "<image>")] == [600, 601, 602]
    assert tokenizer.decode([600, 601], skip_special_tokens=True) == "<b>"
    edit(copied / "tokenizer_config.json", added_tokens_decoder={"777": {"content": "<a>"}})
    with pytest.raises(CheckpointError, match="777 and would get 600"):
        Tokenizer.from_folder(copied)


def test_truncation_and_padding_of_the_file_are_turned_off(copied: Path) -> None:
    truncation = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    padding = {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 2}
    edit(
        copied / "tokenizer.json",
        truncation=truncation,
        padding={**padding, "pad_type_id": 0, "pad_token": "<｜▁pad▁｜>"},
    )
    assert len(Tokenizer.from_folder(copied).encode("a b c d e")) > 2
    assert len(Tokenizer.from_folder(copied).encode("a")) == 1


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_decoding_gives_the_text_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_saving_keeps_every_id(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path, chat_template="{{ bos_token }}")
    again = Tokenizer.from_folder(tmp_path, tokens=())
    assert [again.token_of(number) for number in range(608)] == [tokenizer.token_of(number) for number in range(608)]
    text = "a <image> b <|User|> 请描述 1234<｜end▁of▁sentence｜>"
    assert again.encode(text) == tokenizer.encode(text)
    assert again.settings["chat_template"] == "{{ bos_token }}"
    again.save(tmp_path, chat_template="other")
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["chat_template"] == "{{ bos_token }}"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "[" * 10_000),
        ("tokenizer.json", '{"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": ["a b"]}}'),
        ("tokenizer_config.json", "[]"),
        ("tokenizer_config.json", '{"bos_token": 3}'),
        ("tokenizer_config.json", '{"eos_token": "<nothing>"}'),
        ("tokenizer_config.json", '{"pad_token": {"content": ""}}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": [3]}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"x": {"content": "a"}}}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"3": {}}}'),
        ("special_tokens_map.json", "{"),
    ],
)
def test_damaged_files_are_refused(copied: Path, file: str, text: str) -> None:
    (copied / file).write_text(text)
    with pytest.raises(CheckpointError):
        Tokenizer.from_folder(copied)


def test_a_panic_of_the_library_is_a_damaged_file(copied: Path) -> None:
    model = json.loads((copied / "tokenizer.json").read_text())["model"]
    edit(copied / "tokenizer.json", model={**model, "continuing_subword_prefix": "xxxxxxx"})
    with pytest.raises(CheckpointError, match="malformed"):
        Tokenizer.from_folder(copied)


def test_too_large_a_file_is_not_parsed(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_module, "TOKENIZER_LIMIT", 1000)
    with pytest.raises(CheckpointError, match="longer than 1000 bytes"):
        Tokenizer.from_folder(copied)


@pytest.mark.parametrize(
    "ids", [[-1], [2**40], [1.5], ["a"], [[1]], torch.zeros(1, 1, dtype=torch.long), torch.tensor(1)]
)
def test_unusable_ids_are_refused(tokenizer: Tokenizer, ids: Any) -> None:
    with pytest.raises(InputError):
        tokenizer.decode(ids)


def test_lone_surrogates_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="Unicode"):
        tokenizer.encode("a\ud800")
