"""An answer of a model, and from which probability on it is believed."""

from __future__ import annotations

from dataclasses import dataclass

BOX = "<|det|>"
"""What stands before the coordinates of an answer."""
LEAST_PROBABILITY = 0.95
"""Mean probability of an answer's tokens below which it is not believed. Of vlkit-reader's answers to pages of its task
19 in 20 are likelier, and these are right as often; of those to pictures without text hardly any is."""
LEAST_WITH_BOX = 0.72
"""The same for an answer with a box: the digits of its coordinates are never as certain as characters. vlkit-reader is
less sure of them where two words stand on a page, which it does not tell apart."""


@dataclass(frozen=True)
class Answer:
    """An answer of a model.

    Args:
        text: what it says.
        probability: mean probability of its tokens, the end of the answer among them.
        ended: whether it came to an end by itself.
    """

    text: str
    probability: float
    ended: bool

    @property
    def least(self) -> float:
        """Probability from which it is believed."""
        return LEAST_WITH_BOX if BOX in self.text else LEAST_PROBABILITY

    @property
    def believable(self) -> bool:
        """Whether there is a text, and the model is about as sure of it as on pictures like those it was trained on."""
        return bool(self.text) and self.ended and self.probability >= self.least
