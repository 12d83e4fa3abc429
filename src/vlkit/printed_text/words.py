"""Words without meaning: random strings, of which some are kept for evaluation."""

from __future__ import annotations

import hashlib
from random import Random
from typing import Literal

Split = Literal["train", "held_out"]

DIGITS = "0123456789"
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CODE = "".join(letter for letter in CAPITALS if letter not in "IO") + "23456789"
"""Mixed codes leave out what fonts print alike, as number plates do: 0 and O, 1 and I."""

HELD_OUT = 8
"""One word in so many is held out."""
SHORTEST = 3
"""Shorter words are too few to be split: all are used in training, none in evaluation."""


def split_of(word: str) -> Split:
    """Whether a word is trained on or held out, by its hash, so that the two never meet."""
    if len(word) < SHORTEST:
        return "train"
    return "held_out" if hashlib.blake2b(word.encode(), digest_size=4).digest()[0] % HELD_OUT == 0 else "train"


def random_word(random: Random, length: int, split: Split) -> str:
    """Word of one split: a number, capital letters, or a code of both.

    Args:
        random: source of chance.
        length: number of characters; at least `SHORTEST` for held-out words.
        split: which words are wanted.
    """
    alphabet = random.choices((DIGITS, CAPITALS, CODE), (1, 2, 2))[0]
    while True:
        word = "".join(random.choices(alphabet, k=length))
        if split_of(word) == split:
            return word
