"""The tokenizer of a checkpoint folder: a thin layer over the `tokenizers` library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from torch import Tensor

from vlkit.errors import CheckpointError, ConfigError, InputError
from vlkit.files import read_json, read_text, write_json, write_text

TOKENIZER_LIMIT = 128 * 2**20
"""Most bytes that a tokenizer.json may have."""

OFFICIAL_NAMES = {
    "bos_token": "<｜begin▁of▁sentence｜>",
    "eos_token": "<｜end▁of▁sentence｜>",
    "pad_token": "<｜▁pad▁｜>",
}
"""Names of the three tokens that every sequence needs, for folders that do not name them."""

FLAGS = ("lstrip", "normalized", "rstrip", "single_word", "special")
"""Properties of an added token that the settings files record."""

VL2_TOKENS = ("<image>", "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<|grounding|>", "<|User|>", "<|Assistant|>")
"""Tokens that DeepSeek-VL2 adds to its language model's, in the order in which missing ones get their ids."""


class Tokenizer:
    """Text to ids and back, with the ids of the first, the last and the padding token.

    Args:
        backend: the tokenizer proper; its truncation and padding are turned off.
        settings: content of tokenizer_config.json, kept for saving; names `bos_token`, `eos_token` and `pad_token`.

    Raises:
        CheckpointError: if one of the three tokens is not in the vocabulary.
    """

    def __init__(self, backend: tokenizers.Tokenizer, settings: Mapping[str, Any] | None = None) -> None:
        self._backend = backend
        self._backend.no_truncation()
        self._backend.no_padding()
        self.settings = dict(settings or {})
        self.names = {key: self._name(key) for key in OFFICIAL_NAMES}
        self.bos_id, self.eos_id, self.pad_id = (self.id_of(name) for name in self.names.values())

    @classmethod
    def from_folder(cls, folder: str | Path, *, tokens: Sequence[str] = VL2_TOKENS, pad_token: str = "") -> Tokenizer:
        """Tokenizer of a folder, with `tokens` added where missing.

        Args:
            folder: holds tokenizer.json, and mostly tokenizer_config.json and special_tokens_map.json.
            tokens: special tokens that are needed; those that exist keep their id, the others are appended in order.
            pad_token: appended before them if the folder names no padding token; "" means the official name.

        Raises:
            CheckpointError: if a file is missing, too large or malformed.
        """
        folder = Path(folder)
        files = (folder / "special_tokens_map.json", folder / "tokenizer_config.json")
        found = [read_json(file) for file in files if file.is_file()]
        settings = {key: value for data in found for key, value in data.items() if value is not None}
        text = read_text(folder / "tokenizer.json", limit=TOKENIZER_LIMIT)
        try:
            backend = tokenizers.Tokenizer.from_str(text)
        except BaseException as error:  # the library raises plain Exception, and its panics are not even that
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise CheckpointError(
                f"{folder / 'tokenizer.json'} is malformed: {error}", remedy="fetch the file again"
            ) from None
        named = settings.setdefault("pad_token", pad_token or OFFICIAL_NAMES["pad_token"])
        _add_declared(backend, settings.get("added_tokens_decoder", {}))
        _add(backend, [_content(named), *tokens])
        return cls(backend, settings)

    @classmethod
    def of_bytes(cls, tokens: Sequence[str] = VL2_TOKENS) -> Tokenizer:
        """Tokenizer without a vocabulary file, for prototypes: every byte of the UTF-8 text is a token.

        Args:
            tokens: special tokens; they follow the first, last and padding token (0, 1, 2) and the bytes (3 to 258).
        """
        names = list(OFFICIAL_NAMES.values())
        vocabulary = {symbol: number for number, symbol in enumerate([*names, *_byte_symbols()])}
        backend = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
        backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        backend.decoder = tokenizers.decoders.ByteLevel()
        _add(backend, [*names, *tokens])
        return cls(backend, dict(OFFICIAL_NAMES))

    def with_phrases(self, phrases: Sequence[str]) -> Tokenizer:
        """Tokenizer that has one token for each of these texts too, wherever they stand; no special ones."""
        backend = tokenizers.Tokenizer.from_str(self._backend.to_str())
        backend.add_tokens([tokenizers.AddedToken(phrase, special=False, normalized=False) for phrase in phrases])
        return Tokenizer(backend, self.settings)

    @property
    def last_id(self) -> int:
        """Greatest id that a text can get."""
        return max(self._backend.get_vocab(with_added_tokens=True).values())

    def require_within(self, vocabulary: int) -> None:
        """Refuse a vocabulary of a decoder that is too small.

        Args:
            vocabulary: number of ids that have an embedding.

        Raises:
            ConfigError: if a text can get an id beyond it.
        """
        if self.last_id >= vocabulary:
            raise ConfigError(
                f"the tokenizer has ids up to {self.last_id}, the decoder {vocabulary} of them",
                rule="every token has an embedding",
                remedy=f"give the decoder a vocabulary of {self.last_id + 1} or more, or take another tokenizer",
            )

    def _name(self, key: str) -> str:
        return _content(self.settings.get(key, OFFICIAL_NAMES[key]))

    def __len__(self) -> int:
        return self._backend.get_vocab_size(with_added_tokens=True)

    def id_of(self, token: str) -> int:
        """Id of a token.

        Raises:
            CheckpointError: if the vocabulary does not have it.
        """
        number = self._backend.token_to_id(token)
        if number is None:
            raise CheckpointError(
                f"the tokenizer has no token {token!r}",
                rule="a processor needs the tokens that begin, end, pad and mark images",
                remedy="take the tokenizer that belongs to the checkpoint, or name the token in tokenizer_config.json",
            )
        return number

    def token_of(self, number: int) -> str | None:
        """Token with an id, None if there is none."""
        return self._backend.id_to_token(number) if number >= 0 else None

    def encode(self, text: str) -> list[int]:
        """Ids of a text; special tokens written in it count as such, none is added.

        Raises:
            InputError: if the text is no valid Unicode.
        """
        try:
            return self._backend.encode(text, add_special_tokens=False).ids
        except TypeError:
            raise InputError(f"the text {text!r:.80} is no valid Unicode", remedy="drop lone surrogates") from None

    def decode(self, ids: Sequence[int] | Tensor, *, skip_special_tokens: bool = False) -> str:
        """Text of the ids of one sequence; ids beyond the vocabulary give no text.

        Raises:
            InputError: if `ids` is not one-dimensional or holds a negative number.
        """
        numbers = ids.tolist() if isinstance(ids, Tensor) else list(ids)
        if not isinstance(numbers, list) or not all(isinstance(n, int) and 0 <= n < 2**32 for n in numbers):
            raise InputError(
                f"{ids!r:.80} is no sequence of ids",
                rule="one sequence of whole numbers from 0",
                remedy="decode row by row and leave out ignored labels",
            )
        return self._backend.decode(numbers, skip_special_tokens=skip_special_tokens)

    def save(self, folder: str | Path, *, chat_template: str | None = None) -> None:
        """Write tokenizer.json, tokenizer_config.json and special_tokens_map.json.

        Args:
            folder: made if missing.
            chat_template: Jinja template for engines that read one; a template of the settings goes first.

        Raises:
            CheckpointError: if the folder cannot be written to.
        """
        folder = Path(folder)
        added = self._backend.get_added_tokens_decoder()
        extra = [token.content for _, token in sorted(added.items()) if token.special]
        extra = [content for content in extra if content not in self.names.values()]
        decoder = {
            str(number): {"content": token.content, **{name: getattr(token, name) for name in FLAGS}}
            for number, token in sorted(added.items())
        }
        settings = {
            **({"chat_template": chat_template} if chat_template else {}),
            **self.settings,
            "added_tokens_decoder": decoder,
            "additional_special_tokens": extra,
        }
        write_text(folder / "tokenizer.json", self._backend.to_str(pretty=True))
        write_json(folder / "tokenizer_config.json", dict(sorted(settings.items())))
        write_json(folder / "special_tokens_map.json", {**self.names, "additional_special_tokens": extra})


def _byte_symbols() -> list[str]:
    """Characters that stand for the bytes 0 to 255 in byte-level tokenizers: printable ones for themselves."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    return [chr(byte if byte in visible else next(hidden)) for byte in range(256)]


def _content(token: Any) -> str:
    """Text of a token that a settings file gives as a string or as a mapping."""
    content = token.get("content") if isinstance(token, dict) else token
    if not isinstance(content, str) or not content:
        raise CheckpointError(f"{token!r:.80} is no token", rule='a token is "text" or {"content": "text", ...}')
    return content


def _add_declared(backend: tokenizers.Tokenizer, declared: Any) -> None:
    """Add what tokenizer_config.json declares beyond tokenizer.json; the ids have to come out as declared."""
    if not isinstance(declared, dict) or not all(str(number).isdecimal() for number in declared):
        raise CheckpointError("added_tokens_decoder is malformed", rule="it maps ids to tokens")
    for number, token in sorted(((int(key), value) for key, value in declared.items()), key=lambda item: item[0]):
        content = _content(token)
        if backend.token_to_id(content) is None:
            flags = {name: bool(token.get(name, False)) for name in FLAGS} if isinstance(token, dict) else {}
            backend.add_tokens([tokenizers.AddedToken(content, **flags)])
            if backend.token_to_id(content) != number:
                raise CheckpointError(
                    f"token {content!r} is declared with id {number} and would get {backend.token_to_id(content)}",
                    rule="tokenizer.json and tokenizer_config.json belong together",
                    remedy="fetch both files from the same revision",
                )


def _add(backend: tokenizers.Tokenizer, tokens: Sequence[str]) -> None:
    special = {token.content for token in backend.get_added_tokens_decoder().values() if token.special}
    missing = [token for token in tokens if token not in special]
    backend.add_special_tokens([tokenizers.AddedToken(token, special=True, normalized=False) for token in missing])
