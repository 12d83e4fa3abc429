"""A tokenizer for this task: bytes, and the few phrases of its questions and boxes as one token each."""

from __future__ import annotations

from vlkit.printed_text.questions import READ, WHERE
from vlkit.processing.tokenizer import Tokenizer

PHRASES = (READ, WHERE, "\n\n", "[[", "]]", ", ")
"""Texts that are one token, so that questions and boxes stay short."""


def reader_tokenizer() -> Tokenizer:
    """Bytes, the official special tokens, and `PHRASES`; any text can be written with it."""
    return Tokenizer.of_bytes().with_phrases(PHRASES)
