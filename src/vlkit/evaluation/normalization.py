"""What counts as the same text."""

from __future__ import annotations

import string
import unicodedata
from typing import Literal

from vlkit.config import Config

_PUNCTUATION = str.maketrans("", "", string.punctuation)


class TextNormalization(Config):
    """What is done to answer and reference before they are compared; white space comes last."""

    unicode_form: Literal["NFC", "NFKC"] | None = "NFC"
    """Unicode normal form: "NFC" makes one character of a letter and its accent, "NFKC" also of full-width letters and
    ligatures the plain ones."""
    collapse_spaces: bool = True
    """Whether white space at both ends is dropped and any other becomes one blank."""
    ignore_case: bool = False
    """Whether capitals count as small letters."""
    ignore_punctuation: bool = False
    """Whether ASCII punctuation is dropped."""

    def __call__(self, text: str) -> str:
        """The text in the form that is compared."""
        if self.unicode_form:
            text = unicodedata.normalize(self.unicode_form, text)
        if self.ignore_case:
            text = text.casefold()
        if self.ignore_punctuation:
            text = text.translate(_PUNCTUATION)
        return " ".join(text.split()) if self.collapse_spaces else text

    def __str__(self) -> str:
        done = {
            f"Unicode {self.unicode_form}": self.unicode_form is not None,
            "case ignored": self.ignore_case,
            "punctuation ignored": self.ignore_punctuation,
            "white space collapsed": self.collapse_spaces,
        }
        return ", ".join(name for name, chosen in done.items() if chosen) or "as it is"
