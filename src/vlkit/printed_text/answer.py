"""An answer of a model, and from which probability on it is believed."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_PROBABILITY = 0.97
"""Mean probability of what is read below which an answer is not believed. Of vlkit-reader's answers to pages of its
task more than nine in ten are likelier, and of these all but two in a hundred are right; of its answers to pictures
without text hardly any is."""
LEAST_PLACE_PROBABILITY = 0.6
"""The same for the coordinates of its boxes, whose last digits are never certain; where words are, few are below."""


@dataclass(frozen=True)
class Answer:
    """An answer of a model.

    Args:
        text: what it says.
        probability: mean probability of the tokens that say what is read, the end of the answer among them.
        ended: whether it came to an end by itself.
        place_probability: mean probability of the tokens of its coordinates; None if there are none.
    """

    text: str
    probability: float
    ended: bool
    place_probability: float | None = None

    @property
    def believable(self) -> bool:
        """Whether there is a text, and the model is about as sure of it as on pictures like those it was trained on."""
        sure = self.probability >= LEAST_PROBABILITY and (
            self.place_probability is None or self.place_probability >= LEAST_PLACE_PROBABILITY
        )
        return bool(self.text) and self.ended and sure
